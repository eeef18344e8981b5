"""Two scorers by mistake: of one folder the second ends, of one bus the second waits."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cases.scorer import Scorer, government, make_register, measure, now_slot, put, register_on
from tests.support.forked import run
from tests.support.nats import Nats
from tests.support.ports import free_port
from tests.support.waiting import eventually


@pytest.fixture
def other(nats: Nats, tmp_path: Path) -> Iterator[Scorer]:
    """Another scorer of the same bus, with a folder of its own."""
    other = Scorer(nats, tmp_path / "other")
    yield other
    if other.process is not None and other.process.poll() is None:
        other.kill()


async def test_a_folder_has_one_scorer(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A second scorer of the same folder ends with a sentence, and the first goes on."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    where = ("--nats", nats.url, "--credentials", nats.credentials, "--data", scorer.data)
    second = await asyncio.to_thread(run, "services.scorer", *where, "--metrics", f"127.0.0.1:{free_port()}")
    assert second.returncode == 1
    assert second.stderr == (
        f"peyvand scorer: another scorer uses the folder {scorer.data}: end it, or name another folder with --data\n"
    )
    assert await scorer.stop() == (0, "")


async def test_a_bus_has_one_scorer(nats: Nats, scorer: Scorer, other: Scorer, tmp_path: Path) -> None:
    """A second scorer waits, and says for what. It publishes once the first has stopped, was killed, or stood still; a first
    that stood still ends.
    """
    await register_on(nats, make_register(tmp_path / "register"))

    async def waits() -> bool:
        return "another scorer publishes" in await other.health()

    async with nats.connect("prober") as prober, nats.connect("api") as api:
        for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
            scorer.start()
            await scorer.serving()
            other.start()
            await eventually(waits, "the second waits")
            assert "caught_up" not in other.events()
            assert scorer.process is not None
            scorer.process.send_signal(end)
            sequence = await put(prober, [measure("deed-tax", now_slot() - 2)])
            await other.serving()
            await government(api, sequence)
            if end is signal.SIGSTOP:
                scorer.process.send_signal(signal.SIGCONT)
                code, errors = await scorer.ended()
                assert code == 1
                assert "another scorer publishes by now" in errors
            assert await other.stop() == (0, "")
            (other.data / "scorer.log").unlink()
