"""Messages that were lost before the scorer read them stop it, unless they are harmless or accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.core.bus import Bus
from services.core.bus.names import MEASUREMENTS
from services.core.bus.topology import initialise_streams
from tests.support.cases.scorer import (
    Scorer,
    blocks,
    government,
    make_register,
    measure,
    now_slot,
    put,
    register_on,
)
from tests.support.nats import Nats

REMEDY = "start once with --accept-gap yes to go on without them: what is gone stays unknown"


async def purge(nats: Nats, stream: str) -> None:
    async with nats.connect("admin") as admin:
        await admin.jetstream.purge_stream(stream)


async def recreate(nats: Nats, stream: str) -> None:
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_stream(stream)
        await initialise_streams(admin)


@pytest.fixture
async def stopped(nats: Nats, scorer: Scorer, tmp_path: Path) -> AsyncIterator[Bus]:
    """A prober's connection; the scorer has read message 1 of the stream and is stopped."""
    await register_on(nats, make_register(tmp_path / "register"))
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        sequence = await put(prober, [measure("deed-tax", now_slot() - 100)])
        scorer.start()
        await government(api, sequence)
        assert await scorer.stop() == (0, "")
        yield prober


async def test_lost_messages_are_refused_until_accepted(nats: Nats, scorer: Scorer, stopped: Bus) -> None:
    """Messages that were lost before the scorer read them stop it, with their numbers; once accepted, it continues."""
    for _ in range(3):
        await put(stopped, [measure("deed-tax", now_slot() - 50)])
    await purge(nats, MEASUREMENTS)
    sequence = await put(stopped, [measure("deed-tax", now_slot() - 10)])
    scorer.start()
    assert await scorer.ended() == (
        1,
        f"peyvand scorer: messages 2 to 4 of stream MEASUREMENTS are gone, not taken in: {REMEDY}\n",
    )
    scorer.start("--accept-gap", "yes")
    async with nats.connect("api") as api:
        await government(api, sequence)
        evidence = (await blocks(api))["consumer.land-registry"].links[0]
    assert evidence.verdicts[1].tolist() == [0, 0, 0, 0, 0, 2]
    assert await scorer.stop() == (0, "")


async def test_stream_made_anew_is_refused(nats: Nats, scorer: Scorer, stopped: Bus) -> None:
    """A recreated stream of the same name is not taken for the one that was read before."""
    await recreate(nats, MEASUREMENTS)
    await put(stopped, [measure("deed-tax", now_slot() - 10)])
    scorer.start()
    code, errors = await scorer.ended()
    assert code == 1
    assert errors.startswith("peyvand scorer: stream MEASUREMENTS was created anew at ")
    assert errors.endswith(f"; what came after them is gone: {REMEDY}\n")


async def test_missing_state_is_refused_once_the_stream_has_lost_its_start(
    nats: Nats, scorer: Scorer, stopped: Bus, tmp_path: Path
) -> None:
    """A scorer without its state does not begin in the middle of a stream; with nothing lost it begins at message 1."""
    fresh = Scorer(nats, tmp_path / "fresh")
    async with nats.connect("api") as api:
        fresh.start()
        await fresh.serving()
        assert await fresh.stop() == (0, "")
        await purge(nats, MEASUREMENTS)
        sequence = await put(stopped, [measure("deed-tax", now_slot() - 10)])
        other = Scorer(nats, tmp_path / "other")
        other.start()
        sentence = f"peyvand scorer: messages 1 to 1 of stream MEASUREMENTS are gone, not taken in: {REMEDY}\n"
        assert await other.ended() == (1, sentence)
        # The scorer that had read message 1 has lost nothing.
        scorer.start()
        await government(api, sequence)
        assert await scorer.stop() == (0, "")


async def test_stream_lost_at_run_time_ends_the_scorer(nats: Nats, scorer: Scorer, stopped: Bus) -> None:
    """A stream that is recreated under a running scorer ends the scorer, and is not taken for silent probers."""
    scorer.start()
    await scorer.serving()
    await recreate(nats, MEASUREMENTS)
    code, errors = await scorer.ended()
    assert code == 1
    assert "stream MEASUREMENTS was created anew" in errors
