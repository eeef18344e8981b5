"""The archive ends only when nothing of it writes any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from services.archive.component import _work
from services.core.model.register import Register
from services.core.runtime import Health
from services.core.tasks import run_in_thread
from tests.support.cases.scoring import register
from tests.support.waiting import HeldCalls, eventually

__all__ = ["register"]  # the fixture


async def _forever(*_: object) -> None:
    await asyncio.Event().wait()


async def _registers() -> AsyncIterator[Register]:
    await _forever()
    yield NotImplemented


async def test_a_thread_that_seals_is_waited_for(register: Register) -> None:
    """An archive that is told to end twice, the second time before a day is sealed, ends when the thread has ended."""
    with HeldCalls(lambda: None) as held:
        archive: Any = SimpleNamespace(
            follow=_forever, seal=lambda: run_in_thread(held), read=_forever, archivers=(), flush=_forever
        )
        runtime: Any = SimpleNamespace(stop=asyncio.Event(), health=Health())
        working = asyncio.create_task(_work(archive, runtime, register, _registers()))
        await eventually(lambda: held.made, "a day is being sealed")
        runtime.stop.set()
        for _ in range(3):
            await asyncio.sleep(0)
            working.cancel()
        await asyncio.sleep(0)
        ended = working.done()
    await asyncio.wait({working})
    assert (ended, working.cancelled()) == (False, True)
