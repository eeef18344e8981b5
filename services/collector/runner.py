"""The collector at work: follows the register, takes in its source, publishes what changed (DESIGN.md, Components)."""

from __future__ import annotations

import asyncio
from asyncio import Semaphore
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from random import SystemRandom
from time import time

from services.collector.desk import Desk
from services.collector.following import Follower
from services.collector.formats import START, Batch
from services.collector.intake import Intake
from services.collector.ledger import Ledger
from services.collector.mapping import Mapping
from services.collector.meters import Meters
from services.collector.publisher import messages, publish
from services.collector.pulling import Puller
from services.collector.replay import Extent, Paced, timeline
from services.collector.source import LogFile
from services.collector.sources import FileSource, Source, read_sources
from services.core.bus import Bus, connect_by
from services.core.errors import BusError, PeyvandError, SettingsError, StateError
from services.core.model import FLUSH_SECONDS, Register
from services.core.runtime import Runtime
from services.register.publish import follow

__all__ = ["main"]

_DATABASE = "collector.sqlite"
_READ_LINES = 50  # small steps, so that a replay keeps time …
_TAKE_LINES = 4000  # … which are taken in together when they are due together
_SEND_SUMMARIES = 2000
_ASKED_AT_ONCE = 16  # security servers whose answers, of up to 16 MiB each, are held together
_LAST_FLUSH_SECONDS = 2.0


def _now_ms() -> int:
    return int(time() * 1000)


class _Collector:
    """One run of the component, between its start and its stop."""

    def __init__(self, runtime: Runtime, bus: Bus, desk: Desk, ledger: Ledger, version: str) -> None:
        self._runtime, self._bus, self._desk, self._ledger = runtime, bus, desk, ledger
        self._register_version = version
        self._meters = Meters(runtime.registry)
        self._intake = Intake(desk, ledger, self._meters, runtime.log, _now_ms)

    async def follow(self, registers: AsyncIterator[Register]) -> None:
        """Attribute by each new register version as it comes into force."""
        async for register in registers:
            mapping = _mapping(register, self._runtime.settings.alias)
            await self._desk.do(self._ledger.remap, mapping)
            self._register_version = register.register_version
            self._runtime.log.info("register_in_force", register_version=register.register_version)

    async def replay(self, log: LogFile) -> None:
        """Take in a log at the pace of its timeline, from where an earlier run left it, until its end or the stop."""
        source = await self._desk.do(log.identity)
        position = await self._desk.do(self._ledger.position, source)
        if position is None:
            if self._ledger.timeline is not None:
                raise StateError(
                    f"the collector's state replays another log than {log.path}: give it a new data directory"
                )
            extent = await self._extent(log)
            if extent is None:
                return
            seconds = self._runtime.settings.replay_seconds
            await self._desk.do(self._ledger.replay, source, timeline(extent, _now_ms(), seconds))
            position = START
        batches = Paced(log.batches(position, size=_READ_LINES), self._due, _TAKE_LINES)
        while (batch := await self._desk.do(batches.take, _now_ms())) is not None:
            if await self._stopped_by(self._due(batch)):
                return
            await self._intake.take(source, log.path.name, batch)
            if batch.sides:
                self._intake.reached(log.path.name, self._due(batch))
        self._runtime.log.info("replay_finished", source=log.path.name)

    async def _extent(self, log: LogFile) -> Extent | None:
        """Read the whole log once for what it spans; None when the stop comes first."""
        extent = Extent()
        batches = log.batches()
        while (batch := await self._desk.do(next, batches, None)) is not None:
            for side in batch.sides:
                extent = extent.and_at(side.request_in)
            if self._runtime.stop.is_set():
                return None
        return extent

    def _due(self, batch: Batch) -> int:
        assert self._ledger.timeline is not None
        return self._ledger.timeline.place(batch.newest or 0)

    async def _stopped_by(self, moment_ms: int) -> bool:
        """Wait until a moment; True when the stop comes first, or has come."""
        if self._runtime.stop.is_set():
            return True
        try:
            await asyncio.wait_for(self._runtime.stop.wait(), max(0.0, (moment_ms - _now_ms()) / 1000))
        except TimeoutError:
            return False
        return True

    async def read(self, source: Source, turns: Semaphore) -> None:
        """Read one source until the stop."""
        self._meters.source_named(source.id)
        if isinstance(source, FileSource):
            await Follower(source, self._intake, self._meters, self._runtime.log, self._wait).run()
            return
        chance = SystemRandom().random
        await Puller(
            source, self._intake, self._meters, self._runtime.log, turns, now=time, chance=chance, wait=self._wait
        ).run()

    async def _wait(self, seconds: float) -> bool:
        return await self._stopped_by(_now_ms() + round(seconds * 1000))

    async def publish(self) -> None:
        """Publish what changed, once in FLUSH_SECONDS, until the stop."""
        while not await self._stopped_by(_now_ms() + round(FLUSH_SECONDS * 1000)):
            try:
                await self.flush()
            except BusError as error:
                self._runtime.log.warning("publishing_failed", reason=str(error))
                self._runtime.health.not_serving()
            else:
                if not self._runtime.stop.is_set():
                    self._runtime.health.serving()

    async def flush(self) -> None:
        """Publish every summary that the bus has not acknowledged. Raises BusError; what it has acknowledged stays so."""
        self._meters.show(await self._desk.do(self._ledger.totals))
        while pending := await self._desk.do(self._ledger.unpublished, _SEND_SUMMARIES):
            for message in messages(self._runtime.settings.bus, self._register_version, pending):
                await publish(self._bus, message)
                await self._desk.do(self._ledger.acknowledge, message.summaries)
            self._meters.show(await self._desk.do(self._ledger.totals))


def _mapping(register: Register, alias: str) -> Mapping:
    if alias and alias not in register.agencies:
        raise SettingsError(f"the alias {alias} is not an agency of the register: name one that is with --alias")
    return Mapping(register, alias)


class _Crew:
    """Tasks that work until the stop; the first that fails brings it about, so that all end in good order."""

    def __init__(self, runtime: Runtime) -> None:
        self._stop = runtime.stop
        self._failure: PeyvandError | None = None

    async def work(self, coroutine: Coroutine[None, None, None]) -> None:
        """Do one task's work."""
        try:
            await coroutine
        except PeyvandError as error:
            self._failure = self._failure or error
            self._stop.set()

    def check(self) -> None:
        """Raise the failure that brought about the stop, if one did."""
        if self._failure is not None:
            raise self._failure


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is done: on Python 3.11 a wait that is satisfied in the same moment swallows a cancel."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


async def _work(
    collector: _Collector, runtime: Runtime, registers: AsyncIterator[Register], sources: Sequence[Source]
) -> None:
    crew = _Crew(runtime)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(crew.work(collector.follow(registers)))
        if runtime.settings.replay:
            tasks.create_task(crew.work(collector.replay(LogFile(Path(runtime.settings.replay)))))
        turns = Semaphore(_ASKED_AT_ONCE)
        reading = [tasks.create_task(crew.work(collector.read(source, turns))) for source in sources]
        tasks.create_task(crew.work(collector.publish()))
        runtime.health.serving()
        await runtime.stop.wait()
        runtime.health.not_serving()
        for task in (following, *reading):  # what is asked of a server may take a minute; nobody waits for it
            await _end(task)
    crew.check()
    try:
        async with asyncio.timeout(_LAST_FLUSH_SECONDS):
            await collector.flush()
    except (BusError, TimeoutError) as error:
        # Nothing is lost: what is unpublished stays in the ledger for the next start.
        runtime.log.warning("last_publishing_failed", reason=str(error))


async def main(runtime: Runtime) -> None:
    """Run the collector until it is stopped. Raises PeyvandError when it cannot go on."""
    settings = runtime.settings
    sources = read_sources(Path(settings.sources)) if settings.sources else ()
    if sources and settings.replay:
        raise SettingsError("a replay moves time, which sources do not: give --replay or --sources, not both")
    desk = Desk()
    name = f"collector-{settings.bus}"
    async with connect_by(settings, role="collector", name=name) as bus:
        runtime.watch_bus(lambda: bus.connected)
        registers = follow(bus)
        register = await anext(registers)
        async with desk.ledger(settings.data / _DATABASE, _mapping(register, settings.alias), _now_ms()) as ledger:
            collector = _Collector(runtime, bus, desk, ledger, register.register_version)
            await _work(collector, runtime, registers, sources)
