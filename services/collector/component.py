"""The running collector: follows the register, reads its sources, publishes what changed (docs/design.md §4)."""

from __future__ import annotations

import asyncio
import gc
import signal
from asyncio import Semaphore
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from random import SystemRandom
from time import monotonic, time

from services.collector.config import FileSource, Source, read_sources
from services.collector.files import FileTailer, LogFile, Replayer
from services.collector.intake import Intake
from services.collector.ledger import Ledger, LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.publisher import SummaryPublisher
from services.collector.xroad import ServerPoller
from services.core.bus import Bus, connect_from_settings
from services.core.errors import BusError, PeyvandError, SettingsError
from services.core.files import count_damaged
from services.core.malloc import map_large_blocks
from services.core.metrics import gauge
from services.core.model import FLUSH_SECONDS, Register
from services.core.runtime import ENDING, Runtime
from services.core.tasks import cancel_and_wait
from services.register.bus import follow_register

_DATABASE = "collector.sqlite"
_ANSWERS_AT_ONCE = 16  # of security servers, held in memory; up to 16 MiB each
_COLLECTED_AFTER = 10_000  # more objects made than freed since the last run
_CHECKING = 0.1  # share of the time that checking the state may take
_DAY_MS = 86_400_000
_LAST_FLUSH_SECONDS = 2.0


def collect_seldom() -> None:
    """Make the garbage collector run seldom, and never look at objects made at startup.

    A batch makes some 200,000 lists and tuples, and none of them is part of a cycle.
    """
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])


def _now_ms() -> int:
    return int(time() * 1000)


def _timed(work: Callable[[], bool]) -> tuple[bool, float]:
    """Return the result of a call, and the seconds that it took."""
    began = monotonic()
    return work(), monotonic() - began


class _Supervisor:
    """Runs tasks until the stop. The first ``failure`` of one sets the stop, so that all others end cleanly."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.failure: PeyvandError | None = None

    async def run(self, coroutine: Coroutine[None, None, None]) -> None:
        try:
            await coroutine
        except PeyvandError as error:
            self.failure = self.failure or error
            self._stop.set()


class _Collector:
    """One run of the component, from its start to its stop."""

    def __init__(
        self, runtime: Runtime, bus: Bus, executor: LedgerExecutor, ledger: Ledger, again: asyncio.Event
    ) -> None:
        self._runtime, self._executor, self._ledger = runtime, executor, ledger
        self._metrics = CollectorMetrics(runtime.registry)
        self._intake = Intake(executor, ledger, self._metrics, runtime.log, _now_ms)
        settings = runtime.settings
        self._publisher = SummaryPublisher(settings.bus, settings.alias, bus, executor, ledger, again, runtime.log)

    async def follow(self, registers: AsyncIterator[Register]) -> None:
        """Follow the register. Raises StateError when one with another length of slots comes into force."""
        async for register in registers:
            await self._executor.run(self._ledger.check_slots, register.policy.slot_seconds)
            del register  # the next one may come in months

    async def check_state(self) -> None:
        """Check the rows of the state once. Raises StateError when one is damaged."""
        left = True
        while left:
            left, seconds = await self._executor.run(_timed, self._ledger.check_rows)
            if await self._runtime.wait(seconds / _CHECKING - seconds):
                return
        self._runtime.log.info("state_checked")

    async def read(self, source: Source, answers: Semaphore) -> None:
        """Read one source until the stop."""
        self._metrics.add_source(source.id)
        log, chance = self._runtime.log, SystemRandom().random
        if isinstance(source, FileSource):
            await FileTailer(source, self._intake, self._metrics, log, self._runtime.wait).run()
            return
        poller = ServerPoller(
            source, self._intake, self._metrics, log, answers, now=time, chance=chance, wait=self._runtime.wait
        )
        await poller.run()

    async def replay(self, log: LogFile) -> None:
        """Replay a log until its end or the stop."""
        replayer = Replayer(log, self._intake, self._ledger, self._runtime.log, _now_ms, self._runtime.wait)
        await replayer.run(self._runtime.settings.replay_seconds)

    async def publish(self) -> None:
        """Publish what changed, every FLUSH_SECONDS, until the stop."""
        seconds = FLUSH_SECONDS
        while not await self._runtime.wait(seconds):
            try:
                seconds = 0.0 if await self.flush() else FLUSH_SECONDS
            except BusError as error:
                seconds = FLUSH_SECONDS
                self._runtime.log.warning("publishing_failed", reason=str(error))
                self._runtime.health.not_serving("what was read cannot be published: the bus does not answer")
            else:
                if not self._runtime.stop.is_set():
                    self._runtime.health.serving()

    async def flush(self) -> bool:
        """Publish a part of what the bus has not acknowledged; return whether more may wait. Raises BusError.

        More summaries come in meanwhile, so a busy bus never runs out of them.
        """
        await self._show_totals()
        more = await self._publisher.flush()
        await self._show_totals()
        return more

    async def _show_totals(self) -> None:
        self._metrics.show_totals(await self._executor.run(self._ledger.totals), _now_ms())


async def _work(
    collector: _Collector, runtime: Runtime, registers: AsyncIterator[Register], sources: Sequence[Source]
) -> None:
    supervisor = _Supervisor(runtime.stop)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(supervisor.run(collector.follow(registers)))
        if runtime.settings.replay:
            tasks.create_task(supervisor.run(collector.replay(LogFile(Path(runtime.settings.replay)))))
        tasks.create_task(supervisor.run(collector.check_state()))
        answers = Semaphore(_ANSWERS_AT_ONCE)
        reading = [tasks.create_task(supervisor.run(collector.read(source, answers))) for source in sources]
        tasks.create_task(supervisor.run(collector.publish()))
        runtime.health.serving()
        await runtime.stop.wait()
        runtime.health.not_serving(ENDING)
        await cancel_and_wait(following, *reading)  # a request to a server may take a minute; do not wait for it
    if supervisor.failure is not None:
        raise supervisor.failure
    try:
        async with asyncio.timeout(_LAST_FLUSH_SECONDS):
            while await collector.flush():
                pass
    except (BusError, TimeoutError) as error:
        # Nothing is lost: unpublished summaries stay in the ledger until the next startup.
        runtime.log.warning("last_publishing_failed", reason=str(error))


async def main(runtime: Runtime) -> None:
    """Run the collector until it is stopped. Raises PeyvandError when it cannot continue."""
    settings = runtime.settings
    again = asyncio.Event()  # handled from the start: a signal that is not handled ends the process
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, again.set)
    sources = read_sources(Path(settings.sources)) if settings.sources else ()
    if sources and settings.replay:
        raise SettingsError("a replay moves time, which sources do not: give --replay or --sources, not both")
    gauge("peyvand_collector_damaged_files", runtime.registry).set_function(partial(count_damaged, settings.data))
    map_large_blocks()
    executor = LedgerExecutor()
    runtime.health.not_serving("waiting for the bus")
    async with connect_from_settings(settings, role="collector", name=f"collector-{settings.bus}") as bus:
        runtime.watch_bus(lambda: bus.connected)
        registers = follow_register(bus)
        register = await anext(registers)
        if settings.alias and settings.alias not in register.agencies:
            raise SettingsError(
                f"the alias {settings.alias} is not an agency of the register: name one that is with --alias"
            )
        slot_seconds, span_ms = register.policy.slot_seconds, round(settings.span_days * _DAY_MS)
        del register  # nothing else of it is needed
        async with executor.ledger(settings.data / _DATABASE, slot_seconds, _now_ms(), span_ms) as ledger:
            collect_seldom()
            await _work(_Collector(runtime, bus, executor, ledger, again), runtime, registers, sources)
