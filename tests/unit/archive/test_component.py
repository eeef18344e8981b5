"""The archive ends only when nothing of it writes any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.archive.component import _work, main
from services.core.errors import SettingsError
from services.core.model.register import Register
from services.core.runtime import Health
from services.core.tasks import run_in_thread
from services.dataset.log import WITNESS, SigningKey
from tests.support.waiting import HeldCalls, eventually


async def _forever(*_: object) -> None:
    await asyncio.Event().wait()


async def _registers() -> AsyncIterator[Register]:
    await _forever()
    yield NotImplemented


async def test_a_thread_that_seals_is_waited_for() -> None:
    """An archive that is told to end twice, the second time before a day is sealed, ends when the thread has ended."""
    with HeldCalls(lambda: None) as held:
        archive: Any = SimpleNamespace(
            follow=_forever, seal=lambda: run_in_thread(held), read=_forever, archivers=(), flush=_forever
        )
        runtime: Any = SimpleNamespace(stop=asyncio.Event(), health=Health())
        working = asyncio.create_task(_work(archive, runtime, _registers(), 0.0))
        await eventually(lambda: held.made, "a day is being sealed")
        runtime.stop.set()
        for _ in range(3):
            await asyncio.sleep(0)
            working.cancel()
        await asyncio.sleep(0)
        ended = working.done()
    await asyncio.wait({working})
    assert (ended, working.cancelled()) == (False, True)


async def test_no_archive_seals_with_the_key_of_a_witness(tmp_path: Path) -> None:
    """Nobody could verify what it signs, and the archive itself would refuse its log from the second day on."""
    key = tmp_path / "witness.key"
    key.write_text(SigningKey.generate("archive.example", WITNESS).text(), "utf-8")
    runtime: Any = SimpleNamespace(settings=SimpleNamespace(archive_key=str(key), archive="", data=tmp_path))
    with pytest.raises(
        SettingsError, match=r"witness\.key holds the key of a witness: name a file with the key of a log"
    ):
        await main(runtime)
