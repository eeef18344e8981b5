"""An index is computed when a slot has settled, and for late rows while the next slot leaves time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY, SLOTS_PER_BLOCK, Bus, consumer_key, slot_key
from services.core.codec import decode_columns, encode_measurements
from services.core.errors import BusError
from services.core.log import logger
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.runtime import Health
from services.indicator.calendar import Calendar
from services.register.directory.load import load_register
from services.scorer import refresher as refreshing
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.health import ReadinessReporter
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.metrics import ScorerMetrics
from services.scorer.publishing.history import HistoryPublisher
from services.scorer.publishing.publisher import IndexPublisher
from services.scorer.refresher import CERTIFICATE_SECONDS, LATE_SECONDS, LATE_SHARE, Refresher
from services.scorer.state.store import Store
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE

SLOT = 300
START = 1_772_388_000  # 2026-03-01T18:00:00Z
TOOK = 60.0  # seconds that every index takes to be put


@dataclass
class Clock:
    """A stopped clock that counts how often it was read."""

    now: float
    looks: int = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now


@dataclass
class Sink:
    """A bus that keeps messages, and acknowledges none from the ``fails``-th on."""

    clock: Clock
    behind: float = 0.0
    silent: bool = False
    put: list[float] = field(default_factory=list)
    values: dict[str, bytes] = field(default_factory=dict)

    async def kv_put_all(self, _bucket: str, values: Mapping[str, bytes], **_ttl: float | None) -> None:
        self.values |= values
        if GOVERNMENT_KEY in values:
            self.clock.now += TOOK
            self.put.append(self.clock.now)

    async def moment(self) -> float:
        if self.silent:
            raise BusError("the bus did not answer")
        return self.clock.now - self.behind

    async def kv_remove_orphans(self, bucket: str) -> None:
        pass

    async def kv_keys(self, _bucket: str, _pattern: str) -> set[str]:
        return set()


@dataclass
class Running:
    """A running refresher with a clock that the test moves."""

    clock: Clock
    sink: Sink
    scoring: Scoring
    settle: float
    health: Health
    evidence_lock: EvidenceLock
    sequence: int = 0

    def late(self, certificate_expiry: int | None = None) -> None:
        """Take a late row of a published slot."""
        target = Target(("deed-civil", "deed-tax", "birth-tax")[self.sequence])
        self.sequence += 1
        row = Measurement(
            target,
            "north",
            START,
            START + 5.0,
            OUTCOME_OF[Reason.OK],
            Reason.OK,
            certificate_expiry=certificate_expiry,
        )
        self.scoring.take(
            decode_columns(encode_measurements([row])), stored=float(START + SLOT + 1), sequence=self.sequence
        )
        assert self.scoring.stale

    async def puts(self, count: int) -> float:
        """Wait until this many indexes were put and another was looked for, and return when the last was put."""
        await _until(lambda: len(self.sink.put) >= count)
        await self.nothing_more()
        assert len(self.sink.put) == count
        return self.sink.put[-1]

    async def nothing_more(self) -> None:
        """Check that the refresher looks again and again but begins no index."""
        put, looks = len(self.sink.put), self.clock.looks
        await _until(lambda: self.clock.looks > looks + 10 or len(self.sink.put) > put)
        assert len(self.sink.put) == put


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # what is waited for sends no event
            await asyncio.sleep(0.001)


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A refresher at the moment when its first slot has settled."""
    register = load_register(write_register(tmp_path / "register"))
    calendar = Calendar.of(register.policy)
    clock = Clock(START + SLOT + register.settle_seconds)
    sink = Sink(clock)
    monkeypatch.setattr(refreshing, "POLL_SECONDS", 0)
    monkeypatch.setattr(refreshing, "IDLE_SECONDS", 0)
    monkeypatch.setattr(refreshing, "CLOCK_SECONDS", 0)
    monkeypatch.setattr(refreshing, "time", SimpleNamespace(monotonic=lambda: clock.now))
    scoring = Scoring(
        CompiledRegister.of(register),
        Store(tmp_path / "state", calendar).load(),
        StreamPosition("MEASUREMENTS", "monday", 0),
    )
    bus, health = cast(Bus, sink), Health()
    readiness = ReadinessReporter(health)
    readiness.set_reading(ok=True)
    evidence_lock = EvidenceLock()
    refresher = Refresher(
        scoring,
        evidence_lock,
        IndexPublisher(bus),
        ExchangeDatabase(tmp_path / "exchanges.sqlite"),
        HistoryPublisher(bus, scoring, log=logger()),
        metrics=ScorerMetrics(CollectorRegistry()),
        readiness=readiness,
        clock=clock,
        bus_clock=sink.moment,
        log=logger(),
    )
    async with _alongside(refresher.run()):
        yield Running(clock, sink, scoring, register.settle_seconds, health, evidence_lock)


@asynccontextmanager
async def _alongside(run: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_no_late_index_begins_just_before_a_slot_settles(running: Running) -> None:
    """Late rows are published at once if another index fits in before the next slot settles. Otherwise they are in that
    slot's index, which is not delayed.
    """
    begun = await running.puts(1)
    running.late()
    begun = await running.puts(2)
    assert begun < START + 2 * SLOT + running.settle - TOOK, "the next slot settles later"

    settles = START + 2 * SLOT + running.settle
    running.clock.now = settles - TOOK
    running.late()
    await running.nothing_more()
    assert running.scoring.stale
    running.clock.now = settles - 1
    await running.nothing_more()

    running.clock.now = settles
    assert await running.puts(3) == settles + TOOK
    assert running.scoring.manifest.end_slot == START // SLOT + 2
    assert not running.scoring.stale


async def test_late_indexes_take_a_share_of_the_time(running: Running) -> None:
    """Indexes of late rows take at most their share of the time, however many come."""
    begun = await running.puts(1)
    running.late()
    await running.puts(2)
    pause = max(TOOK + LATE_SECONDS, TOOK / LATE_SHARE)
    running.clock.now = begun + pause - 0.1
    running.late()
    await running.nothing_more()
    running.clock.now = begun + pause
    assert await running.puts(3) == begun + pause + TOOK
    assert running.scoring.manifest.end_slot == START // SLOT + 1


async def test_a_clock_that_is_ahead_makes_no_index(running: Running) -> None:
    """While our clock is more than a slot ahead of the bus's, nothing is published or dropped. Then it continues."""
    await running.puts(1)
    running.sink.behind = 200 * 86_400.0
    running.clock.now += SLOT
    await running.nothing_more()
    assert running.scoring.manifest.end_slot == START // SLOT + 1
    wrong = "the clock here is 17280000 s ahead of the bus's: set the one that is wrong"
    assert str(running.health) == f"NOT_SERVING: {wrong}"

    running.sink.behind = 0.0
    await running.puts(2)
    assert running.scoring.manifest.end_slot == START // SLOT + 2
    assert str(running.health) == "SERVING"


async def test_no_index_is_new_while_the_clock_cannot_be_checked(running: Running) -> None:
    """If the bus does not say its time, nothing new is published: our clock may be ahead. Late rows still are."""
    await running.puts(1)
    running.sink.silent = True
    running.late()
    await running.puts(2)
    running.clock.now += 7200
    await running.nothing_more()
    assert str(running.health) == "NOT_SERVING: the index cannot be published"
    running.sink.silent, running.sink.behind = False, 7200.0
    await running.nothing_more()
    running.sink.behind = 0.0
    await running.puts(3)
    assert str(running.health) == "SERVING"


async def test_a_clock_that_is_behind_does_not_serve(running: Running) -> None:
    """If our clock is behind the bus's by more than a slot, the index stands still and is not served as new. A smaller
    difference is no fault.
    """
    await running.puts(1)
    assert str(running.health) == "SERVING"
    running.sink.behind = float(-SLOT)
    await running.nothing_more()
    assert str(running.health) == "SERVING"
    running.sink.behind = -3600.0
    await running.nothing_more()
    assert str(running.health) == "NOT_SERVING: the clock here is 3600 s behind the bus's: set the one that is wrong"

    running.sink.behind = 0.0
    await running.nothing_more()
    assert str(running.health) == "SERVING"
    running.clock.now += 3600.0
    await running.puts(2)


async def test_certificates_that_expire_soon_are_published(running: Running) -> None:
    """A consumer's block lists exactly its links whose certificate expires within three weeks of the index."""
    await running.puts(1)
    soon, later = START + SLOT + CERTIFICATE_SECONDS - 1, START + SLOT + CERTIFICATE_SECONDS
    running.late(later)  # deed-civil
    running.late(soon)  # deed-tax
    await running.puts(2)
    block = BlockReader.of(running.sink.values[consumer_key("land-registry")])
    assert {link: expiry.seconds for link, expiry in block.certificates.items()} == {"deed-tax": soon}
    assert not BlockReader.of(running.sink.values[consumer_key("civil-registry")]).certificates


async def test_old_slots_are_put_after_the_index(running: Running) -> None:
    """With another register the index is put first, then the detail of older slots, which is half of everything put."""
    old, new = START - 100 * SLOT, START
    async with running.evidence_lock.lock:  # the first index may be computed already
        for moment in (old, new):
            row = Measurement(Target("deed-civil"), "north", moment, moment + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
            running.scoring.take(decode_columns(encode_measurements([row])), stored=moment + 10.0, sequence=1)
    await running.puts(1)
    register = running.scoring.register
    links = {name: link for name, link in register.links.items() if name != "deed-tax"}
    running.sink.values.clear()
    running.scoring.adopt(CompiledRegister.of(replace(register, links=links)))
    running.clock.now += SLOT
    await running.puts(2)
    keys = [key for key in running.sink.values if key == GOVERNMENT_KEY or key.startswith("slot.land-registry.")]
    chunks = [slot_key("land-registry", moment // SLOT // SLOTS_PER_BLOCK) for moment in (new, old)]
    assert keys == [chunks[0], GOVERNMENT_KEY, chunks[1]]
