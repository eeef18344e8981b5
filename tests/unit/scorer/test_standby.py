"""A scorer asks for the lease when it is ready to publish, and follows the scorer that has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, cast

import pytest

from services.core.bus import Bus, StoredMessage
from services.core.codec import decode_columns
from services.core.log import logger
from services.core.model import StreamPosition
from services.core.model.register import Register
from services.core.runtime import Health
from services.core.tasks import cancel_and_wait
from services.scorer import standby
from services.scorer.exchanges import ExchangeDatabase, ReconciliationReport
from services.scorer.exchanges.database import KEPT_DAYS
from services.scorer.health import ReadinessReporter
from services.scorer.index import Scoring
from services.scorer.lease import Lease
from services.scorer.publishing import BlockEncoder
from services.scorer.refresher import Refresher
from services.scorer.standby import stand_by
from tests.support.cases.exchange_database import BASE
from tests.support.cases.scoring import SLOT, START, Run, register, still_refresher, stream
from tests.support.waiting import eventually

__all__ = ["register"]  # the fixture


@dataclass
class OtherScorer:
    """A bus with the index and the lease of another scorer. ``asked`` has how far slots were counted at each claim."""

    other: Scoring
    waiting: Scoring
    holder: bytes = b""
    connected: bool = True
    index: bytes = b""
    asked: list[int] = field(default_factory=list)

    def publish(self, end_slot: int) -> None:
        """Publish an index of the other scorer."""
        encoder = BlockEncoder(self.other.compute(self.other.count(end_slot)), (), ReconciliationReport())
        ((block,),) = encoder.government()
        assert block.payload is not None
        self.index = block.payload

    async def kv_get(self, _bucket: str, _key: str) -> bytes:
        return self.index

    async def kv_last(self, _bucket: str, key: str) -> StoredMessage | None:
        self.asked.append(self.waiting.vantages.slots.stop)
        return StoredMessage(1, key, self.holder, 0.0) if self.holder else None

    async def kv_replace(self, _bucket: str, _key: str, _value: bytes, **_: Any) -> bool:
        return True

    def was_asked_at(self, slot: int) -> bool:
        """Return whether slots were counted up to this one at the last claim."""
        return self.asked[-1:] == [slot]


@dataclass
class Waiting:
    """A scorer that has read the streams and may stand by."""

    bus: OtherScorer
    lease: Lease
    refresher: Refresher
    health: Health

    def stand_by(self) -> asyncio.Future[None]:
        """Begin to stand by."""
        return asyncio.ensure_future(stand_by(cast(Bus, self.bus), self.lease, self.refresher))


@pytest.fixture
def exchanges(tmp_path: Path) -> Iterator[ExchangeDatabase]:
    with closing(ExchangeDatabase(tmp_path / "exchanges.sqlite")) as exchanges:
        yield exchanges


@pytest.fixture
def waiting(
    register: Register, exchanges: ExchangeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Waiting:
    """A scorer that has read the same messages as another one, whose index is on the bus."""
    monkeypatch.setattr(standby, "FOLLOW_SECONDS", 0)
    runs = [Run(register, tmp_path / name) for name in ("other", "waiting")]
    for message in stream(register, slots=20, seed=1):
        runs[0].take(message)
        runs[1].scoring.take(decode_columns(message.payload), stored=message.time, sequence=message.sequence)
    other, scoring = (run.scoring for run in runs)
    bus = OtherScorer(other, scoring)
    bus.publish(START // SLOT + 20)
    health = Health()
    readiness = ReadinessReporter(health)
    readiness.set_reading(ok=True)
    refresher = still_refresher(scoring, exchanges, readiness)
    return Waiting(bus, Lease(cast(Bus, bus), log=logger()), refresher, health)


async def test_the_lease_is_asked_for_when_the_evidence_is_counted(waiting: Waiting) -> None:
    """A scorer that starts counts the evidence up to the published index before it asks for the lease."""
    await waiting.stand_by()
    assert waiting.bus.asked == [START // SLOT + 20]
    assert waiting.lease.taken.is_set()


async def test_a_scorer_follows_the_other_until_the_lease_is_free(waiting: Waiting) -> None:
    """A scorer that stands by serves, counts up to each index of the other, and goes on once the lease is free."""
    waiting.bus.holder = b"another"
    standing = waiting.stand_by()
    for later in (21, 22):
        waiting.bus.publish(START // SLOT + later)
        await eventually(partial(waiting.bus.was_asked_at, START // SLOT + later), "it follows")
        assert str(waiting.health) == "SERVING"
    assert not waiting.lease.taken.is_set()
    waiting.bus.holder = b""
    await standing
    assert waiting.lease.taken.is_set()
    assert not waiting.health.is_serving


async def test_a_scorer_drops_old_summaries_while_it_stands_by(waiting: Waiting, exchanges: ExchangeDatabase) -> None:
    """A scorer that stands by drops summaries that are too old, so that they neither add up nor delay a takeover."""
    calendar = waiting.refresher.scoring.calendar
    summary, position = replace(BASE, slot_start=START), StreamPosition("EXCHANGES", "monday", 1)
    exchanges.take([(START + 60.0, "xroad", [summary])], calendar=calendar, position=position)
    exchanges.read_up_to = inf

    def kept() -> int:
        with exchanges.reading() as snapshot:
            return len(snapshot.first_steps(SLOT))

    assert kept() == 1
    waiting.bus.holder = b"another"
    standing = waiting.stand_by()
    await eventually(lambda: waiting.health.is_serving, "it stands by")
    waiting.bus.publish(START // SLOT + (KEPT_DAYS + 3) * 86_400 // SLOT)
    await eventually(lambda: kept() == 0, "the summaries are dropped")
    await cancel_and_wait(standing)
