"""Indicators are sent to INDICATORS once an hour or once a day, beside the indexes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from services.core.bus import Bus
from services.core.bus.names import INDICATORS, MEASUREMENTS
from services.core.codec import decode_columns, encode_measurements
from services.core.model import StreamPosition
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.index.snapshot import Snapshot
from services.register.directory.load import load_register
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.publishing.history import HistoryPublisher
from services.scorer.state.loading import LoadedState
from tests.support.cases.scorer import SLOT, make_register, measure, now_slot
from tests.support.nats import Nats
from tests.support.waiting import eventually

HOUR = 3600 // SLOT


def begun(folder: Path) -> tuple[Scoring, int]:
    """Return a scorer with one measurement, and the end of its slot."""
    register = load_register(make_register(folder / "register"))
    loaded = LoadedState(None, Evidence(Calendar.of(register.policy)), ())
    scoring = Scoring(CompiledRegister.of(register), loaded, StreamPosition(MEASUREMENTS, "", 0))
    slot = now_slot() - HOUR // 2
    row = measure("deed-tax", slot)
    assert row.time is not None
    scoring.take(decode_columns(encode_measurements([row])), stored=row.time, sequence=1)
    return scoring, slot + 1


@asynccontextmanager
async def announcing(bus: Bus, scoring: Scoring) -> AsyncIterator[HistoryPublisher]:
    """Run a publisher of history."""
    announcer = HistoryPublisher(bus, scoring, log=structlog.get_logger())
    task = asyncio.create_task(announcer.run())
    try:
        yield announcer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def sent(bus: Bus) -> Counter[str]:
    """Return how often each kind has been sent."""
    messages = await bus.read(INDICATORS, 1)
    return Counter(message.subject.split(".")[3] for message in messages)


def rows(snapshot: Snapshot, *kinds: str) -> Counter[str]:
    """Return how many indicators of these kinds there are, over all windows."""
    return Counter(
        kind.label for kind, days in snapshot.columns if kind.label in kinds for _ in snapshot.rows(kind, days)
    )


async def test_each_hour_and_each_day_is_sent_once(nats: Nats, tmp_path: Path) -> None:
    """Services are sent with the first index of a day, agencies and above with that of each hour, and links never."""
    scoring, end_slot = begun(tmp_path)
    above = ("government", "sector", "consumer", "provider")
    async with nats.connect("scorer") as bus, nats.connect("api") as api, announcing(bus, scoring) as announcer:
        first = scoring.compute(scoring.count(end_slot)).snapshot
        announcer.offer(first)
        await eventually(lambda: said(scoring, first), "the first")
        once = rows(first, *above, "service")
        assert await sent(api) == once
        assert min(once.values()) >= 3
        announcer.offer(scoring.compute(scoring.count(end_slot)).snapshot)
        later = scoring.compute(scoring.count(end_slot + HOUR)).snapshot
        announcer.offer(later)
        await eventually(lambda: said(scoring, later), "what an hour makes due")
        day = Calendar.of(scoring.register.policy).day_of
        again = rows(later, *above, *(["service"] if day(first.end_slot) != day(later.end_slot) else []))
        assert await sent(api) == once + again


async def said(scoring: Scoring, snapshot: Snapshot) -> bool:
    """Return whether the hour and the day of an index are recorded as sent."""
    day = scoring.calendar.day_of(snapshot.end_slot).toordinal()
    return (scoring.manifest.hour, scoring.manifest.day) == (snapshot.as_of // 3600, day)


async def test_what_cannot_be_sent_is_due_with_the_next_index(nats: Nats, tmp_path: Path) -> None:
    """Without a bus nothing is recorded as sent; with the first index after it is back, everything is sent once."""
    scoring, end_slot = begun(tmp_path)
    async with nats.connect("scorer") as bus, nats.connect("api") as api, announcing(bus, scoring) as announcer:
        nats.kill()
        announcer.offer(scoring.compute(scoring.count(end_slot)).snapshot)

        async def refused() -> bool:
            return announcer._snapshot is None

        await eventually(refused, "the failure")
        assert (scoring.manifest.hour, scoring.manifest.day) == (None, None)
        nats.start()
        await eventually(lambda: _connected(bus, api), "the bus")
        snapshot = scoring.compute(scoring.count(end_slot)).snapshot
        announcer.offer(snapshot)
        await eventually(lambda: said(scoring, snapshot), "all of it")
        assert await sent(api) == rows(snapshot, "government", "sector", "consumer", "provider", "service")


async def _connected(*buses: Bus) -> bool:
    return all(bus.connected for bus in buses)
