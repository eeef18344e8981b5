"""Computes and publishes the index whenever a slot has settled, or late arrivals have changed a published index.

Slot blocks and recent blocks are half of what is published, but no part of the index. They are published while the index
is computed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

from services.core.codec import ExchangeVolume
from services.core.errors import BusError, StateError
from services.core.log import Logger
from services.core.malloc import trim_memory
from services.core.model import Finding, Monitoring
from services.core.tasks import cancel_and_wait, run_in_thread
from services.indicator.cells import SlotDetail
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges import ExchangeDatabase, ReconciliationReport
from services.scorer.health import ReadinessReporter
from services.scorer.index import CompiledRegister, IndexResult, PendingUpdate, Scoring
from services.scorer.metrics import ScorerMetrics
from services.scorer.publishing import BlockEncoder, HistoryPublisher, IndexPublisher, recent_blocks

POLL_SECONDS = 0.1  # between two checks whether an index is due, while late arrivals wait for one
IDLE_SECONDS = 1.0  # at most between two checks otherwise, since the clock may be set
CLOCK_SECONDS = 10.0  # between two checks of the bus's clock, besides one before each new slot
LATE_SECONDS = 1.0  # at least between an index that late arrivals changed and the next one
LATE_SHARE = 0.25  # the maximum share of the time for indexes that late arrivals changed
CERTIFICATE_SECONDS = 21 * 86400  # certificates that expire sooner are published, as the alert has it
TRIM_SECONDS = 300.0  # freed memory is returned to the system at most this often: the next index needs it again


@dataclass(eq=False)
class Refresher:
    """Publishes one index after another for as long as a session lasts.

    ``clock`` returns epoch seconds; ``bus_clock`` returns those of the bus, or raises BusError.
    """

    scoring: Scoring
    evidence_lock: EvidenceLock
    publisher: IndexPublisher
    exchanges: ExchangeDatabase
    history: HistoryPublisher
    metrics: ScorerMetrics
    readiness: ReadinessReporter
    clock: Callable[[], float]
    bus_clock: Callable[[], Awaitable[float]]
    log: Logger
    published: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set once an index has been published."""

    # One thread, because glibc keeps the freed arrays of each thread for that thread: the next index finds them there.
    _index_thread: Executor = field(default_factory=partial(ThreadPoolExecutor, 1, "index"), init=False)
    _adopted: list[CompiledRegister] = field(default_factory=list, init=False)
    _report: ReconciliationReport = field(default_factory=ReconciliationReport, init=False)
    _findings: tuple[Finding, ...] = field(default=(), init=False)
    _counted: bool = field(default=False, init=False)
    _trimmed: date | None = field(default=None, init=False)  # the day on which volumes were dropped
    _trim_from: float = field(default=0.0, init=False)  # when to return freed memory again
    _volumes: tuple[ExchangeVolume, ...] = field(default=(), init=False)
    _clock_from: float = field(default=0.0, init=False)  # when to check the clock again
    _clock_wrong: bool = field(default=False, init=False)
    _clock_unknown: bool = field(default=False, init=False)  # and an index waits for it

    def adopt(self, compiled: CompiledRegister) -> None:
        """Judge and attribute by another register of the same calendar, from the next index on."""
        self._adopted.append(compiled)
        self.evidence_lock.changed.set()

    def attach(self, report: ReconciliationReport, findings: tuple[Finding, ...], *, at_once: bool = False) -> None:
        """Publish this report and these findings with every index from the next one on.

        With ``at_once`` the next index is due now if they differ from those attached before.
        """
        news = (report, findings) != (self._report, self._findings)
        self._report, self._findings = report, findings
        if at_once and news:
            self.scoring.stale = True
            self.evidence_lock.changed.set()

    async def run(self) -> None:
        """Refresh until cancelled. Raises StateError."""
        late_from = late_took = 0.0
        while True:
            self.evidence_lock.changed.clear()
            await self.apply_adopted()
            published = self.scoring.manifest.end_slot
            end_slot = self.scoring.settled(self.clock())
            grown = published is None or end_slot > published
            begun = end_slot > self.scoring.calendar.epoch_slot  # before the first whole slot there is no index
            # Rows that come just before a slot settles go into the index of that slot, which must not wait for another.
            late = self.scoring.stale and time.monotonic() >= late_from and self._until_next(end_slot) > late_took
            is_right = not await self._is_clock_wrong(grown=begun and grown)
            if is_right and begun and (grown or late):
                started = time.monotonic()
                await self.prepare(end_slot)
                took = await self._refresh(end_slot)
                await self.tidy(end_slot)
                if not grown:
                    late_took = took
                    late_from = started + max(took + LATE_SECONDS, took / LATE_SHARE)
            elif is_right and await self._put_owed():
                continue
            await self._rest(end_slot)

    async def _rest(self, end_slot: int) -> None:
        """Wait until another index may be due."""
        seconds = POLL_SECONDS
        if not self.scoring.stale:
            seconds = max(seconds, min(IDLE_SECONDS, self._until_next(end_slot)))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.evidence_lock.changed.wait()

    async def _is_clock_wrong(self, *, grown: bool) -> bool:
        """Return whether the local clock and the bus's differ by more than a slot, or may do so when an index has ``grown``.

        If the local clock is ahead, an index of the future could not be taken back, and evidence would be closed too
        early. If it is behind, the index would stand still.
        """
        if time.monotonic() < self._clock_from and (self._clock_wrong or not grown):
            return self._clock_wrong
        before = self.clock()
        try:
            there = await self.bus_clock()
        except BusError as error:
            if grown and not self._clock_unknown:
                self._report_failure(error)
            self._clock_unknown = grown
            return self._clock_wrong or grown
        self._clock_unknown = False
        self._clock_from = time.monotonic() + CLOCK_SECONDS
        ahead, behind = before - there, there - self.clock()
        seconds = max(ahead, behind)
        self._clock_wrong = seconds > self.scoring.calendar.slot_seconds
        if self._clock_wrong:
            side = "ahead of" if ahead > behind else "behind"
            self.readiness.set_clock(f"the clock here is {seconds:.0f} s {side} the bus's: set the one that is wrong")
            self.log.warning("clock_wrong", seconds_ahead=round(ahead if ahead > behind else -behind, 1))
        else:
            self.readiness.set_clock("")
        return self._clock_wrong

    def _until_next(self, end_slot: int) -> float:
        """Return the seconds until the next slot settles."""
        return self.scoring.calendar.start_of(end_slot + 1) + self.scoring.register.settle_seconds - self.clock()

    async def apply_adopted(self) -> None:
        """Put the adopted registers in force in turn, between two indexes: what each of them alone names also counts."""
        while self._adopted:
            compiled = self._adopted.pop(0)
            await self.evidence_lock.run(partial(self.scoring.adopt, compiled))
            self.exchanges.attribute_by(compiled.attributor)
            self.log.info("register_adopted", register_version=compiled.register.register_version)

    async def prepare(self, end_slot: int) -> None:
        """Count the evidence for an index up to ``end_slot`` exclusive."""
        last = self.scoring.calendar.day_of(end_slot - 1)

        def pieces() -> Iterator[None]:
            for day in self.scoring.prepare(end_slot):
                self.readiness.begin_phase(f"counting the evidence of {day}; {last} comes last")
                yield

        started = time.monotonic()
        await self.evidence_lock.run_in_slices(pieces())
        if not self._counted:
            # Later calls count only changes, which takes too little time to be worth a log line.
            self.log.info("evidence_counted", to=str(last), seconds=round(time.monotonic() - started, 3))
            self._counted = True
            await asyncio.to_thread(trim_memory)

    async def tidy(self, end_slot: int) -> None:
        """Close days, drop what is too old, and return freed memory, after an index up to ``end_slot`` exclusive."""
        await self.evidence_lock.run_in_slices(self.scoring.close())
        await self._trim_volumes(self.scoring.calendar.day_of(end_slot))
        if time.monotonic() >= self._trim_from:
            await asyncio.to_thread(trim_memory)
            self._trim_from = time.monotonic() + TRIM_SECONDS

    async def _refresh(self, end_slot: int) -> float:
        """Compute and publish an index; return the seconds since its evidence was counted."""
        scoring, metrics = self.scoring, self.metrics
        started = time.monotonic()
        with metrics.refresh_seconds.time():
            try:
                self.readiness.begin_phase("publishing slots and computing the index")
                count = await self.evidence_lock.run(partial(scoring.count, end_slot))
                compute = partial(scoring.compute, count)
                computing = asyncio.create_task(run_in_thread(compute, executor=self._index_thread))
                try:
                    slot_blocks = await self._put_evidence(count.due)
                    result = await computing
                finally:
                    await cancel_and_wait(computing)
                volumes = await self._sum_volumes(end_slot)
                self.readiness.begin_phase("publishing the index")
                expiring = scoring.expiring(result.snapshot.as_of + CERTIFICATE_SECONDS)
                findings = self._findings
                encoder = BlockEncoder(result, volumes, self._report, self._monitoring(), expiring, findings)
                blocks = await self.publisher.publish(encoder)
            except BusError as error:
                scoring.publishing_failed()
                self._report_failure(error)
                return time.monotonic() - started
            took = time.monotonic() - started
            scoring.published(result.snapshot.end_slot)
            self.published.set()
            self.history.offer(result.snapshot)
        arrays = result.compiled.arrays
        detail = await self.evidence_lock.run(partial(scoring.evidence.detail, arrays, range(end_slot - 1, end_slot)))
        await asyncio.to_thread(self._show, result, detail, volumes)
        self.readiness.set_publishing(ok=True)
        self.log.info(
            "index_published",
            as_of=result.snapshot.as_of,
            sequence=result.snapshot.evidence_sequence,
            blocks=blocks,
            slot_blocks=slot_blocks,
            findings=len(findings),
        )
        return took

    async def _sum_volumes(self, end_slot: int) -> tuple[ExchangeVolume, ...]:
        """Return the volumes, or the previous ones if they cannot be summed: the index does not need them."""
        longest = max(self.scoring.register.policy.windows_days)
        since = self.scoring.calendar.day_of(end_slot) - timedelta(days=longest)
        summed = partial(self.exchanges.volumes, since, end_slot=end_slot, calendar=self.scoring.calendar)
        try:
            self._volumes = await asyncio.to_thread(summed)
        except StateError as error:
            self.log.warning("volumes_not_summed", reason=str(error))
        return self._volumes

    async def _trim_volumes(self, today: date) -> None:
        """Drop volumes that are too old, once a day, when everything that was stored before the day has been read.

        A large bus has millions of summaries a day.
        """
        if self._trimmed != today and self.exchanges.read_up_to >= self.scoring.calendar.midnight(today):
            longest = max(self.scoring.register.policy.windows_days)
            try:
                for _ in self.exchanges.trim(today, longest, calendar=self.scoring.calendar):
                    await asyncio.sleep(0)
            except StateError as error:
                self.log.warning("volumes_not_trimmed", reason=str(error))
            self._trimmed = today

    def _monitoring(self) -> Monitoring:
        calendar, slots = self.scoring.calendar, self.scoring.vantages.slots
        span = calendar.start_of(slots.start), calendar.start_of(slots.stop)
        return self.metrics.record.report(*span, self.scoring.vantage_health())

    async def _put_evidence(self, due: PendingUpdate) -> int:
        """Put the slot blocks that are due, and the recent blocks; return the number of slot blocks."""
        count = await self._put_slots(due)
        scoring = self.scoring
        blocks = recent_blocks(scoring.recent, scoring.burns, due.compiled.arrays, due.groups)
        await self.publisher.put_recent(due, blocks, self.evidence_lock.run)
        return count

    async def _put_slots(self, due: PendingUpdate) -> int:
        """Put the slot blocks that are due, a chunk at a time; return their number."""
        evidence, run = self.scoring.evidence, self.evidence_lock.run
        return sum([await self.publisher.put_slots(due, chunk, evidence, self.clock(), run) for chunk in due.chunks])

    async def _put_owed(self) -> bool:
        """Put a chunk of slots that a restart or another register made due; return whether there was one."""
        owed = self.scoring.owed()
        if owed is None:
            return False
        try:
            blocks = await self._put_slots(owed)
        except BusError as error:
            self._report_failure(error)
            return False
        self.scoring.settle(owed)
        self.log.info("slots_published", since=self.scoring.calendar.start_of(owed.chunks[0].start), slot_blocks=blocks)
        return True

    def _report_failure(self, error: BusError) -> None:
        self.readiness.set_publishing(ok=False)
        self.log.warning("publishing_failed", reason=str(error))

    def _show(self, result: IndexResult, detail: SlotDetail, volumes: tuple[ExchangeVolume, ...]) -> None:
        metrics = self.metrics
        metrics.index(result)
        metrics.burns(result.compiled.arrays, self.scoring.burns)
        metrics.links(result.compiled, detail)
        metrics.exchanges.volumes(volumes)
