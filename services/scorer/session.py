"""Scoring by one calendar: resume, then read, refresh, reconcile and save side by side until told to stop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from services.core.bus import EXCHANGES, MEASUREMENTS, STREAMS, Bus
from services.core.errors import BusError, GapError
from services.core.model import Register
from services.core.runtime import Runtime
from services.core.tasks import run_in_thread
from services.indicator.calendar import Calendar
from services.register.attribution import Attributor
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges import ExchangeDatabase, Reconciler
from services.scorer.health import ReadinessReporter
from services.scorer.index import CompiledRegister, Scoring, VantageWatch
from services.scorer.ingest import POLL_SECONDS, ExchangeReader, MeasurementReader, StreamCursor
from services.scorer.metrics import ScorerMetrics
from services.scorer.publishing import HistoryPublisher, IndexPublisher, recall
from services.scorer.refresher import Refresher
from services.scorer.state import LoadedState, Store

__all__ = ["Session"]

T = TypeVar("T")

RECONCILE_SECONDS = 60.0  # exchanges are held against probes once a slot, but this often at most,
RECONCILE_SHARE = 0.05  # and in this share of the time at most
WATCH_SECONDS = 2.0
SAVE_SECONDS = 1.0
SAVE_SHARE = 0.05  # of the time at most, so that large states are saved less often


class _SessionEndError(Exception):
    """The session is over: a signal came, or the register has another calendar."""


class Session:
    """Everything between two changes of the calendar. ``clock`` gives epoch seconds."""

    def __init__(
        self,
        runtime: Runtime,
        bus: Bus,
        register: Register,
        *,
        metrics: ScorerMetrics,
        exchanges: ExchangeDatabase,
        clock: Callable[[], float],
    ) -> None:
        self._runtime = runtime
        self._bus = bus
        self._metrics = metrics
        self._exchanges = exchanges
        self._register = register
        self._clock = clock
        self._log = runtime.log
        self._next: Register | None = None
        self._calendar = Calendar.of(register.policy)
        self._store = Store(runtime.settings.data, self._calendar)
        self._evidence_lock = EvidenceLock()
        self._readiness = ReadinessReporter(runtime.health)
        self._reconciler = Reconciler(exchanges, self._evidence_lock)

    async def run(self, registers: asyncio.Queue[Register]) -> Register | None:
        """Score until told to stop (None), or until a register has another calendar (that register).

        Raises GapError, StateError.
        """
        self._readiness.begins("working out the register")
        adopted = await _adopted(self._register)
        await self._attribute(self._register)
        loaded = await self._load(adopted)
        measurements, exchanges = self._intake(MEASUREMENTS), self._intake(EXCHANGES)
        position = await self._patiently(
            lambda: measurements.resume(None if loaded.manifest is None else loaded.manifest.position)
        )
        exchanged = await self._patiently(lambda: exchanges.resume(self._exchanges.position()))
        behind = await self._patiently(lambda: measurements.behind(position))
        self._scoring = Scoring(adopted, loaded, position)
        recalled = await self._patiently(lambda: recall(self._bus, self._scoring.recent, position.sequence))
        self._log.info("resumed", sequence=position.sequence, behind=behind, recalled=recalled)
        reader = MeasurementReader(
            self._scoring, self._evidence_lock, metrics=self._metrics, readiness=self._readiness, log=self._log
        )
        announcer = HistoryPublisher(self._bus, self._scoring, log=self._log)
        self._refresher = Refresher(
            self._scoring,
            self._evidence_lock,
            IndexPublisher(self._bus),
            self._exchanges,
            announcer,
            metrics=self._metrics,
            readiness=self._readiness,
            clock=self._clock,
            bus_clock=self._bus_clock,
            log=self._log,
        )

        async def once_caught_up(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
            await reader.caught_up.wait()
            await loop()

        try:
            async with asyncio.TaskGroup() as group:
                for loop in (
                    self._stop(),
                    self._adopt(registers),
                    reader.run(measurements, position.sequence + behind),
                    ExchangeReader(self._exchanges, self._calendar, log=self._log).run(exchanges, exchanged),
                    once_caught_up(self._refresher.run),
                    announcer.run(),
                    once_caught_up(self._reconcile),
                    self._watch(measurements),
                    self._watch_streams(),
                    self._save_often(),
                ):
                    group.create_task(loop)
        except* _SessionEndError:
            pass
        finally:
            self._runtime.health.not_serving("saving the evidence")
            await self._save()
        return self._next

    async def _bus_clock(self) -> float:
        if not self._bus.connected:
            raise BusError("the bus is away")  # which publishing waits for
        return (await self._bus.stream_state(MEASUREMENTS)).now

    async def _load(self, adopted: CompiledRegister) -> LoadedState:
        self._readiness.begins("reading the evidence")
        started = time.monotonic()
        loaded = await asyncio.to_thread(self._store.load, adopted.arrays.targets)
        self._log.info(
            "evidence_read",
            folder=str(self._store.folder),
            slots=len(loaded.slots),
            open_from=str(self._calendar.day_of(loaded.evidence.closed_before)),
            seconds=round(time.monotonic() - started, 3),
        )
        self._readiness.begins("looking up the streams")
        return loaded

    def _intake(self, stream: str) -> StreamCursor:
        needed_from = self._calendar.epoch - self._calendar.slot_seconds
        return StreamCursor(self._bus, stream, needed_from=needed_from, accept=self._runtime.settings.accept_gap)

    async def _patiently(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while True:
            try:
                return await call()
            except GapError:
                raise
            except BusError as error:
                self._log.warning("bus_read_failed", reason=str(error))
                await asyncio.sleep(POLL_SECONDS)

    async def _stop(self) -> None:
        await self._runtime.stop.wait()
        self._runtime.health.not_serving("ending")
        raise _SessionEndError

    async def _adopt(self, registers: asyncio.Queue[Register]) -> None:
        while True:
            register = await registers.get()
            if Calendar.of(register.policy) != self._calendar:
                self._next = register
                raise _SessionEndError
            adopted = await _adopted(register)
            await self._attribute(register)
            self._refresher.adopted = adopted

    async def _attribute(self, register: Register) -> None:
        """Attribute by a register what was exchanged before it, of which collectors publish anew the latest only."""
        if not self._exchanges.attributed_by(register):
            clients = self._exchanges.clients()
            mapping = await asyncio.to_thread(partial(Attributor, register, clients=clients))
            self._exchanges.attribute(register, mapping, clients)

    async def _reconcile(self) -> None:
        """Hold exchanges against probes now and then; what is found goes out with the next index."""
        pause = min(RECONCILE_SECONDS, self._calendar.slot_seconds)
        while True:
            started = time.monotonic()
            end_slot = self._scoring.manifest.end_slot
            found = None if end_slot is None else await self._reconciler.run(self._scoring, end_slot)
            if found is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            self._refresher.reconciled = found
            self._metrics.reconciled(found)
            await asyncio.sleep(max(pause, (time.monotonic() - started) / RECONCILE_SHARE))

    async def _watch(self, intake: StreamCursor) -> None:
        vantages = VantageWatch()
        while True:
            newest = self._scoring.evidence.last_slot
            if newest is not None:
                self._metrics.age(self._clock() - self._calendar.start_of(newest))
            self._metrics.vantages(vantages.newest(self._scoring.probing_spans, self._scoring.heard, self._clock()))
            try:
                self._metrics.behind(await intake.behind(self._scoring.manifest.position))
            except BusError:
                self._readiness.reads(False)
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch_streams(self) -> None:
        while True:
            with suppress(BusError):  # the readers tell of it
                self._metrics.streams({name: await self._bus.stream_state(name) for name in STREAMS})
            await asyncio.sleep(WATCH_SECONDS)

    async def _save_often(self) -> None:
        while True:
            started = time.monotonic()
            await self._save()
            await asyncio.sleep(max(SAVE_SECONDS, (time.monotonic() - started) / SAVE_SHARE))

    async def _save(self) -> None:
        async with self._evidence_lock.lock:
            save = self._scoring.save()
        if save is not None:
            await run_in_thread(partial(self._store.save, save))
            await self._evidence_lock.run(partial(self._store.let_go, self._scoring.evidence))


async def _adopted(register: Register) -> CompiledRegister:
    adopted = await asyncio.to_thread(CompiledRegister.of, register)
    # A full collection that looks at all objects of a million links would stop every thread for two seconds and more.
    gc.freeze()
    return adopted
