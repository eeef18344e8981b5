"""A running refresher of a scorer, with a clock that a test moves and a bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import GOVERNMENT_KEY, Bus
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
from services.scorer.refresher import Refresher
from services.scorer.state.store import Store
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE

SLOT = 300
START = 1_772_388_000  # 2026-03-01T18:00:00Z
TOOK = 40.0  # seconds that every index takes to be put


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
    """A bus that keeps values, and stores nothing while it is ``broken``."""

    clock: Clock
    behind: float = 0.0
    silent: bool = False
    broken: bool = False
    refused: int = 0
    put: list[float] = field(default_factory=list)
    values: dict[str, bytes] = field(default_factory=dict)

    async def kv_put_all(self, _bucket: str, values: Mapping[str, bytes], **_ttl: float | None) -> None:
        if self.broken:
            self.refused += 1
            raise BusError("the bus did not answer")
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
        await until(lambda: len(self.sink.put) >= count)
        await self.nothing_more()
        assert len(self.sink.put) == count
        return self.sink.put[-1]

    async def nothing_more(self) -> None:
        """Check that the refresher looks again and again but begins no index."""
        put, looks = len(self.sink.put), self.clock.looks
        await until(lambda: self.clock.looks > looks + 10 or len(self.sink.put) > put)
        assert len(self.sink.put) == put


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
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
    with closing(ExchangeDatabase(tmp_path / "exchanges.sqlite")) as exchanges:
        refresher = Refresher(
            scoring,
            evidence_lock,
            IndexPublisher(bus),
            exchanges,
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
