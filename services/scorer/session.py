"""Scores by one calendar: resumes, then reads, refreshes, reconciles and saves concurrently until the stop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from weakref import ref

from services.core.bus import MEASUREMENTS, STREAMS, Bus, StreamState
from services.core.errors import BusError, StateError
from services.core.model import Finding, Register
from services.core.runtime import ENDING, Runtime
from services.core.tasks import propagate_cancellation
from services.indicator.calendar import Calendar
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges import (
    ExchangeDatabase,
    FindingWatch,
    Reconciler,
    ReconciliationReport,
    with_findings,
)
from services.scorer.health import ReadinessReporter
from services.scorer.index import VantageWatch
from services.scorer.ingest import (
    POLL_SECONDS,
    ExchangeReader,
    MeasurementReader,
    RetentionWatch,
)
from services.scorer.lease import Lease
from services.scorer.metrics import ScorerMetrics
from services.scorer.publishing import FindingPublisher, HistoryPublisher, IndexPublisher, published_findings
from services.scorer.refresher import Refresher
from services.scorer.resuming import Resumed, compiled_register, persistently, resume
from services.scorer.saving import StateSaver
from services.scorer.standby import stand_by

# Between two reconciliations of exchanges with probes, this many seconds pass, or a slot if that is shorter. The pause is
# longer where reconciling would otherwise take more than this share of the time.
RECONCILE_SECONDS = 60.0
RECONCILE_SHARE = 0.05
WATCH_SECONDS = 2.0
STREAMS_SECONDS = 5.0  # each look asks the bus about every stream


async def run_session(
    runtime: Runtime,
    bus: Bus,
    register: Register,
    registers: asyncio.Queue[Register],
    *,
    lease: Lease,
    metrics: ScorerMetrics,
    exchanges: ExchangeDatabase,
    clock: Callable[[], float],
) -> Register | None:
    """Score until the stop, or until a register has another calendar. Publish once this scorer has the lease.

    Returns None after the stop, otherwise that register. ``clock`` returns epoch seconds. Raises GapError, StateError.
    """
    readiness = ReadinessReporter(runtime.health)
    resumed = await resume(runtime, bus, register, readiness, exchanges)
    session = _Session(
        runtime, bus, resumed, lease=lease, metrics=metrics, readiness=readiness, exchanges=exchanges, clock=clock
    )
    following = await session.run(registers)
    scoring = ref(resumed.scoring)
    del session, resumed
    if following is not None and scoring() is not None:
        # An error has left a cycle that refers to the session. A register froze it, or the next one would. With a million
        # links this stops every thread for more than a second.
        gc.unfreeze()
        gc.collect()
    return following


class _Session:
    """The tasks that run between two changes of the calendar."""

    def __init__(
        self,
        runtime: Runtime,
        bus: Bus,
        resumed: Resumed,
        *,
        lease: Lease,
        metrics: ScorerMetrics,
        readiness: ReadinessReporter,
        exchanges: ExchangeDatabase,
        clock: Callable[[], float],
    ) -> None:
        self._runtime, self._bus, self._log, self._lease = runtime, bus, runtime.log, lease
        self._resumed, self._scoring = resumed, resumed.scoring
        self._metrics, self._readiness, self._clock = metrics, readiness, clock
        self._evidence_lock = EvidenceLock()
        self._saver = StateSaver(self._scoring, resumed.store, self._evidence_lock)
        self._measurements = MeasurementReader(
            self._scoring, self._evidence_lock, metrics=metrics, readiness=readiness, log=self._log
        )
        self._exchanges = ExchangeReader(
            exchanges, self._scoring.register.policy, dataset=runtime.settings.archive, metrics=metrics, log=self._log
        )
        self._reconciler = Reconciler(exchanges, self._evidence_lock)
        self._findings = FindingWatch(exchanges, self._evidence_lock)
        self._published_findings = FindingPublisher(bus, lease.check)
        self._history = HistoryPublisher(bus, self._scoring, lease.check, log=self._log)
        self._index = IndexPublisher(bus, lease.check)
        self._refresher = Refresher(
            self._scoring,
            self._evidence_lock,
            self._index,
            exchanges,
            self._history,
            metrics=metrics,
            readiness=readiness,
            clock=clock,
            bus_clock=partial(_bus_clock, bus),
            log=self._log,
        )
        self._found: tuple[Finding, ...] = ()
        self._next: Register | None = None
        self._ended = asyncio.Event()

    async def run(self, registers: asyncio.Queue[Register]) -> Register | None:
        """Run until the stop, or until a register has another calendar. Returns None, or that register."""
        resumed = self._resumed
        try:
            async with asyncio.TaskGroup() as group:
                loops = (
                    self._stop(),
                    self._follow(registers),
                    self._measurements.run(resumed.measurements, resumed.backlog_end),
                    self._exchanges.run(resumed.exchanges),
                    self._publish(),
                    self._history.run(),
                    self._reconcile(),
                    self._watch_vantages(),
                    self._watch_streams(),
                    self._saver.run(),
                )
                tasks = [group.create_task(loop) for loop in loops]
                # An error in place of this would leave a cycle of its group and traceback, which refers to the session.
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._runtime.health.not_serving("saving the evidence")
            await self._saver.save()
        return self._next

    async def _publish(self) -> None:
        await self._measurements.caught_up.wait()
        await stand_by(self._bus, self._lease, self._refresher)
        self._readiness.begin_phase("reading the published findings")
        self._found = await persistently(partial(published_findings, self._bus), self._log)
        self._show(ReconciliationReport(), at_once=False)
        await self._refresher.run()

    async def _stop(self) -> None:
        await self._runtime.stop.wait()
        self._runtime.health.not_serving(ENDING)
        self._ended.set()

    async def _follow(self, registers: asyncio.Queue[Register]) -> None:
        while True:
            register = await registers.get()
            if Calendar.of(register.policy) != self._scoring.calendar:
                self._next = register
                self._ended.set()
                return
            self._refresher.adopt(await compiled_register(register))
            if not (self._measurements.caught_up.is_set() and self._lease.taken.is_set()):
                # Nothing is refreshed yet, and messages may wait for the register.
                await self._refresher.apply_adopted()

    async def _reconcile(self) -> None:
        """Compare exchanges with probes and look for findings, at intervals.

        The first index after startup waits for neither, since looking for findings may take minutes. Until then the
        findings published last are kept.
        """
        await self._refresher.published.wait()
        pause = min(RECONCILE_SECONDS, self._scoring.calendar.slot_seconds)
        first = True
        while True:
            started = time.monotonic()
            end_slot = self._scoring.manifest.end_slot
            assert end_slot is not None, "an index has been published"
            try:
                with propagate_cancellation():  # even if reading exchanges fails meanwhile
                    report = await self._reconciler.run(self._scoring, end_slot)
                    if report is None:
                        await asyncio.sleep(POLL_SECONDS)
                        continue
                    self._show(report, at_once=first)
                    self._found = await self._findings.look(self._scoring, end_slot)
                    self._show(report, at_once=first)
            except StateError as error:
                self._log.warning("not_reconciled", reason=str(error))
                await asyncio.sleep(pause)
                continue
            first = False
            try:
                await self._published_findings.publish(self._found)
            except BusError as error:
                self._log.warning("findings_not_published", reason=str(error))
            await asyncio.sleep(max(pause, (time.monotonic() - started) / RECONCILE_SHARE))

    def _show(self, report: ReconciliationReport, *, at_once: bool) -> None:
        report = with_findings(report, self._scoring, self._found)
        self._refresher.attach(report, self._found, at_once=at_once)
        self._metrics.exchanges.reconciled(report)
        self._metrics.exchanges.found(self._found)

    async def _watch_vantages(self) -> None:
        watch, scoring = VantageWatch(), self._scoring
        while True:
            newest = scoring.evidence.last_slot
            if newest is not None:
                self._metrics.age(self._clock() - scoring.calendar.start_of(newest))
            self._metrics.vantages(watch.newest(scoring.probing_spans, scoring.newest_slots, self._clock()))
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch_streams(self) -> None:
        watches = {name: RetentionWatch(self._bus, name) for name in STREAMS}
        cursors = self._resumed.measurements, self._resumed.exchanges
        while True:
            states: dict[str, StreamState] = {}
            with suppress(BusError):  # the readers report it
                for name, watch in watches.items():
                    states[name], lost = await watch.look()
                    self._metrics.bus.lost(name, lost)
                    if lost:
                        self._log.error("stream_lost_messages", stream=name, messages=lost, first=states[name].first)
                self._metrics.record.gaps_accepted = {cursor.stream: cursor.gaps_accepted for cursor in cursors}
                self._metrics.bus.streams(states)
                self._metrics.behind(max(0, states[MEASUREMENTS].last - self._scoring.manifest.position.sequence))
                if await self._index.forget_lost_slots(self._clock()):
                    self._log.warning("slots_published_again", reason="bucket indicator lost them")
                    async with self._evidence_lock.lock:  # in no thread: what is owed is asked without the lock
                        self._scoring.owe()
            await asyncio.sleep(STREAMS_SECONDS)


async def _bus_clock(bus: Bus) -> float:
    if not bus.connected:
        raise BusError("the bus is not connected")
    return (await bus.stream_state(MEASUREMENTS)).now
