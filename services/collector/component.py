"""The collector at work: follows the register, takes in its source, publishes what changed (docs/design.md §4)."""

from __future__ import annotations

import asyncio
from asyncio import Semaphore
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from random import SystemRandom
from time import time

from services.collector.config import FileSource, Source, read_sources
from services.collector.files import FileTailer, LogFile, Replayer
from services.collector.intake import Intake
from services.collector.ledger import Ledger, LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.publisher import messages, publish
from services.collector.xroad import ServerPoller
from services.core.bus import Bus, connect_from_settings
from services.core.errors import BusError, PeyvandError, SettingsError
from services.core.model import FLUSH_SECONDS, Register
from services.core.runtime import Runtime
from services.core.tasks import cancel_and_wait
from services.register.attribution import Attributor
from services.register.bus import follow_register

__all__ = ["main"]

_DATABASE = "collector.sqlite"
_SEND_SUMMARIES = 2000
_ASKED_AT_ONCE = 16  # security servers whose answers, of up to 16 MiB each, are held together
_DAY_MS = 86_400_000
_LAST_FLUSH_SECONDS = 2.0


def _now_ms() -> int:
    return int(time() * 1000)


class _Supervisor:
    """Tasks that work until the stop; the first that fails brings it about, so that all end in good order."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
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


class _Collector:
    """One run of the component, between its start and its stop."""

    def __init__(self, runtime: Runtime, bus: Bus, executor: LedgerExecutor, ledger: Ledger, version: str) -> None:
        self._runtime, self._bus, self._executor, self._ledger = runtime, bus, executor, ledger
        self._register_version = version
        self._metrics = CollectorMetrics(runtime.registry)
        self._intake = Intake(executor, ledger, self._metrics, runtime.log, _now_ms)

    async def follow(self, registers: AsyncIterator[Register]) -> None:
        """Attribute by each new register version as it comes into force."""
        async for register in registers:
            mapping = _mapping(register, self._runtime.settings.alias)
            await self._executor.run(self._ledger.remap, mapping, now_ms=_now_ms())
            self._register_version = register.register_version
            self._runtime.log.info("register_in_force", register_version=register.register_version)

    async def read(self, source: Source, turns: Semaphore) -> None:
        """Read one source until the stop."""
        self._metrics.source_named(source.id)
        if isinstance(source, FileSource):
            await FileTailer(source, self._intake, self._metrics, self._runtime.log, self._wait).run()
            return
        chance = SystemRandom().random
        await ServerPoller(
            source, self._intake, self._metrics, self._runtime.log, turns, now=time, chance=chance, wait=self._wait
        ).run()

    async def replay(self, log: LogFile) -> None:
        """Replay a log until its end or the stop."""
        replayer = Replayer(log, self._intake, self._ledger, self._runtime.log, _now_ms, self._wait)
        await replayer.run(self._runtime.settings.replay_seconds)

    async def _wait(self, seconds: float) -> bool:
        """Wait so long; True when the stop comes first, or has come."""
        if self._runtime.stop.is_set():
            return True
        try:
            await asyncio.wait_for(self._runtime.stop.wait(), max(0.0, seconds))
        except TimeoutError:
            return False
        return True

    async def publish(self) -> None:
        """Publish what changed, once in FLUSH_SECONDS, until the stop."""
        while not await self._wait(FLUSH_SECONDS):
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
        self._metrics.show(await self._executor.run(self._ledger.totals))
        while pending := await self._executor.run(self._ledger.unpublished, _SEND_SUMMARIES):
            for message in messages(self._runtime.settings.bus, self._register_version, pending):
                await publish(self._bus, message)
                await self._executor.run(self._ledger.acknowledge, message.summaries)
            self._metrics.show(await self._executor.run(self._ledger.totals))


def _mapping(register: Register, alias: str) -> Attributor:
    if alias and alias not in register.agencies:
        raise SettingsError(f"the alias {alias} is not an agency of the register: name one that is with --alias")
    return Attributor(register, alias)


async def _work(
    collector: _Collector, runtime: Runtime, registers: AsyncIterator[Register], sources: Sequence[Source]
) -> None:
    crew = _Supervisor(runtime.stop)
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
        await cancel_and_wait(following, *reading)  # a request to a server may take a minute; do not wait for it
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
    executor = LedgerExecutor()
    name = f"collector-{settings.bus}"
    async with connect_from_settings(settings, role="collector", name=name) as bus:
        runtime.watch_bus(lambda: bus.connected)
        registers = follow_register(bus)
        register = await anext(registers)
        mapping, span_ms = _mapping(register, settings.alias), round(settings.span_days * _DAY_MS)
        async with executor.ledger(settings.data / _DATABASE, mapping, _now_ms(), span_ms) as ledger:
            collector = _Collector(runtime, bus, executor, ledger, register.register_version)
            await _work(collector, runtime, registers, sources)
