"""Runs the sandbox: servers, register and truth on disk, slot after slot until it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache, partial
from time import time

from services.core.metrics import counter
from services.core.runtime import Runtime, raise_descriptor_limit
from services.core.tasks import run_in_thread
from services.sandbox.directory import ACCESS, DEPARTURES, EXCHANGES, make_directory, prepare_run
from services.sandbox.exchanges import LEARNED, SimulatedTraffic, make_data_bus
from services.sandbox.faults import FaultMode, FaultSpan, FaultTimeline, draw_server_faults
from services.sandbox.logs import TRUTH, AccessLog, DepartureLog, ExchangeLog, Run, TruthLog
from services.sandbox.scenario import BUS, make_scenario
from services.sandbox.security_server import OperationalMonitoring
from services.sandbox.servers import NOT_FOUND, OK, Servers, make_sites, open_authority
from services.sandbox.timing import Timing, slot_timing

_CONNECTIONS = 1024
"""File descriptors for connections, beside one for each listening address."""

_FLUSH_SECONDS = 0.2
"""The longest time that a line of the access log stays in memory."""


async def main(runtime: Runtime, clock: Callable[[], float] = time) -> None:
    """Serve the scenario of the settings until the stop. Raises ListenError, SettingsError, StateError."""
    settings = runtime.settings
    answers = counter("peyvand_sandbox_answers_total", runtime.registry)
    for sent in (OK, NOT_FOUND, *(mode for mode in FaultMode if mode not in (FaultMode.REFUSED, FaultMode.HUNG))):
        answers.labels(str(sent))
    times = slot_timing(settings.slot)
    scenario = make_scenario(settings.scenario, seed=settings.seed, base_port=settings.base_port, times=times)
    make_directory(settings.data)
    authority = open_authority(settings.data, datetime.fromtimestamp(clock(), UTC))
    access: AccessLog | None = None
    links = {served.link for served in scenario.served_links}

    def log_answer(name: str, slot: int, sent: str) -> None:
        answers.labels(sent).inc()
        if access is not None and name in links:
            access.add(name, slot, clock(), sent)

    def log_failure(site: str, error: Exception) -> None:
        runtime.log.error("reply failed", site=site, exc_info=error)

    bus = make_data_bus(scenario)
    monitoring = OperationalMonitoring(bus, clock)
    drawing = ThreadPoolExecutor(1, "exchanges")
    sites = make_sites(scenario, bus, authority, monitoring=monitoring.reply, clock=clock, drawing=drawing)
    raise_descriptor_limit(len(sites) + _CONNECTIONS)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(drawing.shutdown, cancel_futures=True)
        servers = await stack.enter_async_context(
            Servers(sites, times, clock=clock, answered=log_answer, failed=log_failure)
        )
        run = prepare_run(settings, scenario, bus, times, clock)
        first = run.header.first_slot
        # One for this thread and one for that in which exchanges are drawn.
        timeline, of_exchanges = (
            FaultTimeline(
                scenario.served_links, bus=BUS, seed=settings.seed, first_slot=first, intensity=settings.faults
            )
            for _ in range(2)
        )
        traffic = SimulatedTraffic(
            bus,
            rate=settings.traffic,
            seed=settings.seed,
            times=times,
            first_slot=first - LEARNED,
            # The slots before the run had the same faults, so that faults are no departure from them.
            state=lambda slot: of_exchanges.state(slot if slot >= first else slot + LEARNED),
        )
        monitoring.follow(traffic)
        truth = TruthLog(settings.data / TRUTH, run.header, timeline, run.kept, run.cycle)
        with (
            contextlib.closing(truth),
            contextlib.closing(AccessLog(settings.data / ACCESS, resumed=run.resumed)) as access,
            contextlib.closing(ExchangeLog(settings.data / EXCHANGES, traffic, resumed=run.resumed)) as exchanges,
            contextlib.closing(DepartureLog(settings.data / DEPARTURES, traffic)) as departures,
        ):
            server_ids = [server.id for server in bus.servers]

            @lru_cache(maxsize=4)
            def state(slot: int) -> Mapping[str, FaultSpan]:
                of_servers = draw_server_faults(server_ids, settings.seed, slot, slot - first, settings.faults)
                return {**timeline.state(slot), **of_servers}

            def advance(slot: int) -> None:
                truth.advance(slot)
                departures.advance(slot)

            async def log_exchanges(slot: int) -> None:
                for number in exchanges.due(slot):
                    if not runtime.stop.is_set():
                        await run_in_thread(partial(exchanges.write, number), executor=drawing)

            servers.follow(state)
            await _run_slots(runtime, run, times, servers, advance, log_exchanges, access, clock)


async def _run_slots(
    runtime: Runtime,
    run: Run,
    times: Timing,
    servers: Servers,
    advance: Callable[[int], None],
    log_exchanges: Callable[[int], Awaitable[None]],
    access: AccessLog,
    clock: Callable[[], float],
) -> None:
    """Bring each slot into effect until the stop. The sandbox is ready once the files of the first one are written."""

    def log_late(start: int, end: int) -> None:
        """Log that the machine was too busy to follow the truth in slots [start, end)."""
        runtime.log.warning("truth served late", from_slot=start, to_slot=end)

    applied: int | None = None
    while not runtime.stop.is_set():
        slot = times.slot_at(clock())
        if slot != applied:
            advance(slot)
            servers.apply(slot)
            if applied is not None and (slot > applied + 1 or clock() > slot * times.slot):
                log_late(applied + 1, slot + 1)
            await log_exchanges(slot)
            if applied is None:
                _report_ready(runtime, run)
            applied = slot
        access.flush()
        # one millisecond more, since a timer may fire that much early
        pause = min(_FLUSH_SECONDS, max(times.effect(slot + 1) - clock(), 0.0) + 0.001)
        due = clock() + pause
        await runtime.wait(pause)
        # Healthy answers were late by as much.
        if clock() > due + times.latency / 4:
            log_late(slot, times.slot_at(clock()) + 1)


def _report_ready(runtime: Runtime, run: Run) -> None:
    settings = runtime.settings
    runtime.health.serving()
    runtime.log.info(
        "sandbox serving",
        scenario=settings.scenario,
        seed=settings.seed,
        slot_seconds=settings.slot,
        first_slot=run.header.first_slot,
        resumed=run.resumed,
        register=str(settings.data / "register"),
    )
