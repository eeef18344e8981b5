"""Scoring by one calendar: resume, then read, refresh and save side by side until told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from services.core.bus import Bus, Message, subjects
from services.core.errors import BusError, GapError
from services.core.evidence import ExchangeSummary
from services.core.model import Register
from services.core.runtime import Runtime
from services.indicator.calendar import Calendar
from services.scorer.batches import columns_of, summaries_of
from services.scorer.blocks import daily, hourly
from services.scorer.exchanges import Exchanges
from services.scorer.gap import Position
from services.scorer.gauges import Gauges
from services.scorer.intake import Intake
from services.scorer.latest import latest_blocks, recall
from services.scorer.publish import Publisher
from services.scorer.reconciling import Reconciled, Reconciler
from services.scorer.scoring import Judgement, Scoring
from services.scorer.store import Store

__all__ = ["Session"]

T = TypeVar("T")

READ_MESSAGES = 500
READ_BYTES = 4 << 20
POLL_SECONDS = 0.2
# A subscription that only says when to look would cost more than looking: every batch would come, and be parsed, twice.
READ_POLL_SECONDS = 0.5
EXCHANGES_POLL_SECONDS = 1.0
LATE_SECONDS = 1.0  # an index that late arrivals changed is published at most this often,
LATE_SHARE = 0.3  # and in this share of the time at most
RECONCILE_SECONDS = 60.0  # exchanges are held against probes once a slot, but this often at most,
RECONCILE_SHARE = 0.05  # and in this share of the time at most
WATCH_SECONDS = 2.0
SAVE_SECONDS = 1.0
SAVE_SHARE = 0.05  # of the time at most, so that large states are saved less often


class _EndedError(Exception):
    """The session is over: a signal came, or the register has another calendar."""


class Session:
    """Everything between two changes of the calendar. ``clock`` gives epoch seconds."""

    def __init__(
        self,
        runtime: Runtime,
        bus: Bus,
        register: Register,
        *,
        gauges: Gauges,
        exchanges: Exchanges,
        clock: Callable[[], float],
    ) -> None:
        self._runtime = runtime
        self._bus = bus
        self._gauges = gauges
        self._exchanges = exchanges
        self._register = register
        self._clock = clock
        self._log = runtime.log
        self._next: Register | None = None
        self._calendar = Calendar.of(register.policy)
        self._store = Store(runtime.settings.data, self._calendar)
        self._publisher = Publisher(bus)
        self._reconciler = Reconciler(exchanges)
        self._reconciled = Reconciled()
        self._saving: asyncio.Future[None] | None = None
        self._caught_up = asyncio.Event()
        self._reads = self._publishes = False

    async def run(self, registers: asyncio.Queue[Register]) -> Register | None:
        """Score until told to stop (None), or until a register has another calendar (that register).

        Raises GapError, StateError.
        """
        loaded = self._store.load()
        measurements, exchanges = self._intake(subjects.MEASUREMENTS), self._intake(subjects.EXCHANGES)
        position = await self._patiently(
            lambda: measurements.resume(None if loaded.manifest is None else loaded.manifest.position)
        )
        exchanged = await self._patiently(lambda: exchanges.resume(self._exchanges.position()))
        behind = await self._patiently(lambda: measurements.behind(position))
        self._scoring = Scoring(self._register, loaded, position)
        recalled = await self._patiently(lambda: recall(self._bus, self._scoring.recent, position.sequence))
        self._log.info(
            "resumed", sequence=position.sequence, behind=behind, recalled=recalled, folder=str(self._store.folder)
        )
        try:
            async with asyncio.TaskGroup() as group:
                for loop in (
                    self._stop(),
                    self._adopt(registers),
                    self._read(measurements, position.sequence + behind),
                    self._read_exchanges(exchanges, exchanged),
                    self._refresh(),
                    self._reconcile(),
                    self._watch(measurements),
                    self._watch_streams(),
                    self._save_often(),
                ):
                    group.create_task(loop)
        except* _EndedError:
            pass
        finally:
            self._runtime.health.not_serving()
            if self._saving is not None:
                await self._saving
            await self._save()
        return self._next

    def _intake(self, stream: str) -> Intake:
        needed_from = self._calendar.epoch - self._calendar.slot_seconds
        return Intake(self._bus, stream, needed_from=needed_from, accept=self._runtime.settings.accept_gap)

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
        raise _EndedError

    async def _adopt(self, registers: asyncio.Queue[Register]) -> None:
        while True:
            register = await registers.get()
            if Calendar.of(register.policy) != self._calendar:
                self._next = register
                raise _EndedError
            self._scoring.adopt(register)
            self._log.info("register_adopted", register_version=register.register_version)

    async def _read(self, intake: Intake, backlog: int) -> None:
        """Take in MEASUREMENTS; no index is published before ``backlog``, what was there at the start, is in."""
        while True:
            position = self._scoring.manifest.position
            try:
                messages = await intake.read(position, limit=READ_MESSAGES, now=time.monotonic())
            except GapError:
                raise
            except BusError as error:
                self._health(reads=False)
                self._log.warning("bus_read_failed", reason=str(error))
                await asyncio.sleep(POLL_SECONDS)
                continue
            for message in messages:
                self._take(message)
            if self._scoring.manifest.position.sequence >= backlog:
                self._caught_up.set()
            self._health(reads=True)
            full = len(messages) >= READ_MESSAGES or sum(len(message.data) for message in messages) >= READ_BYTES
            await asyncio.sleep(0 if full else READ_POLL_SECONDS)

    def _take(self, message: Message) -> None:
        try:
            columns = columns_of(message)
        except ValueError as error:
            self._scoring.passed(message.sequence)
            self._gauges.rejected()
            self._log.error("batch_rejected", sequence=message.sequence, subject=message.subject, reason=str(error))
            return
        tallied = self._scoring.take(columns, stored=message.time, sequence=message.sequence)
        self._gauges.taken(tallied)
        if tallied.late or tallied.misplaced:
            self._log.warning(
                "measurements_left_out",
                sequence=message.sequence,
                vantage=columns.vantage,
                late=tallied.late,
                misplaced=tallied.misplaced,
            )

    async def _read_exchanges(self, intake: Intake, position: Position) -> None:
        while True:
            try:
                messages = await intake.read(position, limit=READ_MESSAGES, now=time.monotonic())
            except GapError:
                raise
            except BusError:
                await asyncio.sleep(EXCHANGES_POLL_SECONDS)  # the other reader tells of it
                continue
            if messages:
                position = Position(position.stream, position.created, messages[-1].sequence)
                batches = [batch for message in messages if (batch := self._summaries(message)) is not None]
                left_out = self._exchanges.take(batches, calendar=self._calendar, position=position)
                if left_out:
                    self._log.warning("summaries_left_out", count=left_out, up_to=position.sequence)
            await asyncio.sleep(0 if len(messages) >= READ_MESSAGES else EXCHANGES_POLL_SECONDS)

    def _summaries(self, message: Message) -> tuple[float, str, list[ExchangeSummary]] | None:
        try:
            return message.time, *summaries_of(message)
        except ValueError as error:
            self._log.error("summaries_rejected", sequence=message.sequence, reason=str(error))
            return None

    async def _refresh(self) -> None:
        await self._caught_up.wait()
        late_from = 0.0
        while True:
            published = self._scoring.manifest.end_slot
            end_slot = self._scoring.settled(self._clock())
            grown = published is None or end_slot > published
            begun = end_slot > self._calendar.epoch_slot  # before the first whole slot there is nothing to say
            if begun and (grown or (self._scoring.stale and time.monotonic() >= late_from)):
                started = time.monotonic()
                await self._prepare()
                await self._publish(end_slot)
                ended = time.monotonic()
                late_from = ended + max(LATE_SECONDS, (ended - started) * (1 / LATE_SHARE - 1))
            await asyncio.sleep(POLL_SECONDS)

    async def _prepare(self) -> None:
        """Count closed days that the register in force has not counted yet, which may be all of them, a day at a time."""
        frame = None
        while frame is not self._scoring.frame:
            frame = self._scoring.frame
            for _ in self._scoring.evidence.prepare(frame):
                await asyncio.sleep(0)
                if frame is not self._scoring.frame:
                    break

    async def _publish(self, end_slot: int) -> None:
        scoring, gauges = self._scoring, self._gauges
        with gauges.refresh_seconds.time():
            judgement = scoring.judge(end_slot)
            last_slot = range(end_slot - 1, end_slot)
            detail = scoring.evidence.detail(judgement.frame, last_slot, judgement.frame.targets)
            slots = self._publisher.slots(judgement, scoring.evidence, self._clock())
            latest = latest_blocks(scoring.recent, scoring.burns, judgement.frame, judgement.members)
            today = self._calendar.day_of(end_slot)
            longest = max(judgement.register.policy.windows_days)
            volumes = self._exchanges.volumes(today - timedelta(days=longest))
            try:
                blocks = await self._publisher.publish(judgement, slots, latest, volumes, self._reconciled)
                hour, day = await self._announce(judgement)
            except BusError as error:
                scoring.unpublished(judgement)
                self._health(publishes=False)
                self._log.warning("publishing_failed", reason=str(error))
                return
            if day != scoring.manifest.day:
                self._exchanges.trim(today, longest, calendar=self._calendar)
            scoring.published(judgement, hour=hour, day=day)
        gauges.index(judgement)
        gauges.burns(judgement.frame, scoring.burns)
        gauges.links(judgement.register, judgement.frame, scoring.network, detail)
        gauges.exchanges(volumes)
        self._health(publishes=True)
        self._log.info(
            "index_published",
            as_of=judgement.snapshot.as_of,
            sequence=judgement.snapshot.evidence_sequence,
            blocks=blocks,
            slot_blocks=len(slots),
        )

    async def _reconcile(self) -> None:
        """Hold exchanges against probes now and then; what is found goes out with the next index."""
        await self._caught_up.wait()
        pause = min(RECONCILE_SECONDS, self._calendar.slot_seconds)
        while True:
            started = time.monotonic()
            end_slot = self._scoring.manifest.end_slot
            found = None if end_slot is None else await self._reconciler.run(self._scoring, end_slot)
            if found is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            self._reconciled = found
            self._gauges.reconciled(found)
            await asyncio.sleep(max(pause, (time.monotonic() - started) / RECONCILE_SHARE))

    async def _announce(self, judgement: Judgement) -> tuple[int, int]:
        """Send what is due to INDICATORS; return the hour and the day it was for."""
        manifest, snapshot = self._scoring.manifest, judgement.snapshot
        hour, day = snapshot.as_of // 3600, self._calendar.day_of(snapshot.end_slot).toordinal()
        if manifest.hour is None or hour > manifest.hour:
            await self._publisher.announce(hourly(snapshot))
        if manifest.day is None or day > manifest.day:
            await self._publisher.announce(daily(snapshot))
        return hour, day

    async def _watch(self, intake: Intake) -> None:
        while True:
            newest = self._scoring.evidence.last_slot
            if newest is not None:
                self._gauges.age(self._clock() - self._calendar.start_of(newest))
            try:
                self._gauges.behind(await intake.behind(self._scoring.manifest.position))
            except BusError:
                self._health(reads=False)
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch_streams(self) -> None:
        while True:
            with suppress(BusError):  # the readers tell of it
                self._gauges.streams({name: await self._bus.stream_state(name) for name in subjects.STREAMS})
            await asyncio.sleep(WATCH_SECONDS)

    async def _save_often(self) -> None:
        while True:
            started = time.monotonic()
            await self._save()
            await asyncio.sleep(max(SAVE_SECONDS, (time.monotonic() - started) / SAVE_SHARE))

    async def _save(self) -> None:
        save = self._scoring.save()
        if save is not None:
            # A thread cannot be cancelled: whoever is, leaves it to finish, and it is waited for at the end.
            self._saving = asyncio.ensure_future(asyncio.to_thread(self._store.save, save))
            await asyncio.shield(self._saving)
            self._store.let_go(self._scoring.evidence)

    def _health(self, *, reads: bool | None = None, publishes: bool | None = None) -> None:
        """Serving means: the bus answers, and the index on it is ours."""
        self._reads = self._reads if reads is None else reads
        self._publishes = self._publishes if publishes is None else publishes
        if self._reads and self._publishes:
            self._runtime.health.serving()
        else:
            self._runtime.health.not_serving()
