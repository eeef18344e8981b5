"""The index, computed and published whenever a slot has settled or late arrivals have changed what was published.

Slots and what was last measured are half of what is put, and are no part of the index: they go first, so that what comes
while they do is in the index that follows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, timedelta
from functools import partial

from services.core.codec import ExchangeVolume
from services.core.errors import BusError
from services.core.log import Logger
from services.indicator.cells import SlotDetail
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges import ExchangeDatabase, ReconciliationReport
from services.scorer.health import ReadinessReporter
from services.scorer.index import CompiledRegister, IndexResult, PendingUpdate, Scoring
from services.scorer.malloc import give_back
from services.scorer.metrics import ScorerMetrics
from services.scorer.publishing import EncodedSlots, HistoryPublisher, IndexPublisher, latest_blocks

__all__ = ["Refresher"]

LOOK_SECONDS = 0.1  # between two looks whether an index is due
AHEAD_SECONDS = 10.0  # between two looks while our clock is ahead
LATE_SECONDS = 1.0  # an index that late arrivals changed is published at most this often,
LATE_SHARE = 0.8  # and in this share of the time at most
GIVE_BACK_SECONDS = 60.0  # memory that an index needed is given back at most this often: the next one needs it again


class Refresher:
    """``adopted`` is the register to judge by from the next index on; ``reconciled`` goes out with it. ``clock`` gives
    epoch seconds, and ``bus_clock`` those of the bus, or raises BusError.
    """

    def __init__(
        self,
        scoring: Scoring,
        evidence_lock: EvidenceLock,
        publisher: IndexPublisher,
        exchanges: ExchangeDatabase,
        announcer: HistoryPublisher,
        *,
        metrics: ScorerMetrics,
        readiness: ReadinessReporter,
        clock: Callable[[], float],
        bus_clock: Callable[[], Awaitable[float]],
        log: Logger,
    ) -> None:
        self.adopted: CompiledRegister | None = None
        self.reconciled = ReconciliationReport()
        self._scoring = scoring
        self._calendar = scoring.calendar
        self._evidence_lock = evidence_lock
        self._publisher = publisher
        self._exchanges = exchanges
        self._announcer = announcer
        self._metrics = metrics
        self._readiness = readiness
        self._clock = clock
        self._bus_clock = bus_clock
        self._log = log
        self._counted = False
        self._trimmed: date | None = None

    async def run(self) -> None:
        """Refresh for good. Raises StateError."""
        late_from = late_took = give_back_from = 0.0
        while True:
            await self._adopt()
            published = self._scoring.manifest.end_slot
            end_slot = self._scoring.settled(self._clock())
            grown = published is None or end_slot > published
            begun = end_slot > self._calendar.epoch_slot  # before the first whole slot there is nothing to say
            # What comes late just before a slot settles is in that slot's index, which does not wait for another.
            late = self._scoring.stale and time.monotonic() >= late_from and self._ahead(end_slot) > late_took
            if begun and grown and await self._is_ahead():
                await asyncio.sleep(AHEAD_SECONDS)
            elif begun and (grown or late):
                started = time.monotonic()
                await self._prepare(end_slot)
                took = await self._refresh(end_slot)
                await self._evidence_lock.run_in_slices(self._scoring.close())
                if time.monotonic() >= give_back_from:
                    await asyncio.to_thread(give_back)
                    give_back_from = time.monotonic() + GIVE_BACK_SECONDS
                if not grown:
                    late_took = took
                    late_from = started + max(took + LATE_SECONDS, took / LATE_SHARE)
            await asyncio.sleep(LOOK_SECONDS)

    async def _is_ahead(self) -> bool:
        """Whether our clock is ahead of the bus's by more than a slot. An index of the future could not be taken back, nor
        the evidence that it is the last to need.
        """
        try:
            seconds = self._clock() - await self._bus_clock()
        except BusError:
            return False  # publishing says what it comes to
        if seconds <= self._calendar.slot_seconds:
            return False
        self._readiness.publishes(
            False, f"the clock here is {seconds:.0f} s ahead of the bus's: set the one that is wrong"
        )
        self._log.warning("clock_ahead", seconds=round(seconds, 1))
        return True

    def _ahead(self, end_slot: int) -> float:
        """The seconds until one more slot settles."""
        return self._calendar.start_of(end_slot + 1) + self._scoring.register.settle_seconds - self._clock()

    async def _adopt(self) -> None:
        adopted, self.adopted = self.adopted, None
        if adopted is not None:
            async with self._evidence_lock.lock:
                self._scoring.adopt(adopted)
            self._log.info("register_adopted", register_version=adopted.register.register_version)

    async def _prepare(self, end_slot: int) -> None:
        last = self._calendar.day_of(end_slot - 1)

        def pieces() -> Iterator[None]:
            for day in self._scoring.prepare(end_slot):
                self._readiness.begins(f"counting the evidence of {day}; {last} comes last")
                yield

        started = time.monotonic()
        await self._evidence_lock.run_in_slices(pieces())
        if not self._counted:
            # Later it is what has changed, and takes no time worth a line.
            self._log.info("evidence_counted", to=str(last), seconds=round(time.monotonic() - started, 3))
            self._counted = True
            await asyncio.to_thread(give_back)

    async def _refresh(self, end_slot: int) -> float:
        """Compute and publish; return the seconds that took from the count on."""
        scoring, metrics = self._scoring, self._metrics
        today = self._calendar.day_of(end_slot)
        longest = max(scoring.register.policy.windows_days)
        started = time.monotonic()
        with metrics.refresh_seconds.time():
            try:
                self._readiness.begins("publishing slots")
                slot_blocks = await self._put_evidence(await self._evidence_lock.run(partial(scoring.due, end_slot)))
                self._readiness.begins("computing the index")
                started = time.monotonic()
                count = await self._evidence_lock.run(partial(scoring.count, end_slot))
                judgement = await asyncio.to_thread(scoring.compute, count)
                since = today - timedelta(days=longest)
                summed = partial(self._exchanges.volumes, since, end_slot=end_slot, calendar=self._calendar)
                volumes = await asyncio.to_thread(summed)
                self._readiness.begins("publishing the index")
                slot_blocks += await self._put_evidence(count.due)
                blocks = await self._publisher.publish(judgement, volumes, self.reconciled)
            except BusError as error:
                scoring.unpublished()
                self._readiness.publishes(False)
                self._log.warning("publishing_failed", reason=str(error))
                return time.monotonic() - started
            took = time.monotonic() - started
            if self._trimmed != today:
                self._exchanges.trim(today, longest, calendar=self._calendar)
                self._trimmed = today
            scoring.published(judgement)
            self._announcer.offer(judgement.snapshot)
        detail = await self._evidence_lock.run(
            partial(scoring.evidence.detail, judgement.arrays, range(end_slot - 1, end_slot), judgement.arrays.targets)
        )
        await asyncio.to_thread(self._show, count.due, judgement, detail, volumes)
        self._readiness.publishes(True)
        self._log.info(
            "index_published",
            as_of=judgement.snapshot.as_of,
            sequence=judgement.snapshot.evidence_sequence,
            blocks=blocks,
            slot_blocks=slot_blocks,
        )
        return took

    async def _put_evidence(self, due: PendingUpdate) -> int:
        """Put what is due of slots, a chunk at a time, for after a start it is all of them, and what was last measured.

        Returns how many blocks of slots that were.
        """
        scoring, count = self._scoring, 0
        for chunk in due.chunks:
            found = list[EncodedSlots]()
            await self._evidence_lock.run_in_slices(
                self._publisher.encode_slots(due, chunk, scoring.evidence, self._clock(), found)
            )
            await self._publisher.put_slots(due, found)
            count += sum(len(some.new) for some in found)
        latest = latest_blocks(scoring.recent, scoring.burns, due.adopted.arrays, due.agencies)
        await self._publisher.put_latest(due, latest)
        return count

    def _show(
        self, due: PendingUpdate, judgement: IndexResult, detail: SlotDetail, volumes: tuple[ExchangeVolume, ...]
    ) -> None:
        metrics = self._metrics
        metrics.index(judgement)
        metrics.burns(judgement.arrays, self._scoring.burns)
        metrics.links(judgement.register, judgement.arrays, due.adopted.network, detail)
        metrics.exchanges(volumes)
