"""Plays a scenario until told to stop: servers up, register and truths on disk, slot after slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from services.sandbox.servers.certificates import open_authority
from services.sandbox.directory.directory import ACCESS, EXCHANGES, Choices, make_directory, settle
from services.sandbox.logs.exchange_log import ExchangeTruth
from services.sandbox.exchanges.data_bus import data_bus
from services.sandbox.exchanges.traffic import Traffic
from services.sandbox.faults.timeline import Span, Timeline
from services.sandbox.logs.run import TRUTH, Run
from services.sandbox.scenario.scenario import BUS, scenario
from services.sandbox.faults.server_faults import ailing
from services.sandbox.security_server.monitoring import Monitoring
from services.sandbox.servers.servers import Servers
from services.sandbox.servers.sites import allow_open_files, sites
from services.sandbox.timing import Timing, timing
from services.sandbox.logs.truth_log import AccessLog, Truth

__all__ = ["play"]

_FLUSH = 0.2
"""Seconds a line of the access log may wait."""


async def play(
    choices: Choices,
    *,
    clock: Callable[[], float],
    stop: asyncio.Event,
    ready: Callable[[Run], None],
    answered: Callable[[str], None],
    late: Callable[[int, int], None],
) -> None:
    """Serve the scenario until ``stop`` is set.

    ``ready`` is called once every server listens and every file is there, ``answered`` with the word for every reply
    written, ``late`` when the states of slots [from, to) were not put in effect in time. Raises ListenError,
    SettingsError, StateError.
    """
    times = timing(choices.slot)
    made = scenario(choices.scenario, seed=choices.seed, base_port=choices.base_port, times=times)
    make_directory(choices.directory)
    authority = open_authority(choices.directory, datetime.fromtimestamp(clock(), UTC))
    logs: list[AccessLog] = []
    links = {wire.link for wire in made.wires}

    def note(name: str, slot: int, sent: str) -> None:
        answered(sent)
        if logs and name in links:
            logs[0].answered(name, slot, clock(), sent)

    bus = data_bus(made)
    monitoring = Monitoring(bus, clock)
    served = sites(made, bus, authority, monitoring=monitoring.reply, clock=clock)
    allow_open_files(len(served))
    async with Servers(served, times, clock=clock, answered=note) as servers:
        run = settle(choices, made, bus, times, clock)
        first = run.header.first_slot
        timeline = Timeline(made.wires, bus=BUS, seed=choices.seed, first_slot=first, intensity=choices.faults)
        traffic = Traffic(
            bus, rate=choices.traffic, seed=choices.seed, times=times, first_slot=first, state=timeline.state
        )
        monitoring.follow(traffic)
        truth = Truth(choices.directory / TRUTH, run.header, timeline, run.kept, run.cycle)
        with (
            contextlib.closing(truth),
            contextlib.closing(AccessLog(choices.directory / ACCESS, go_on=run.resumed)) as log,
            contextlib.closing(ExchangeTruth(choices.directory / EXCHANGES, traffic, go_on=run.resumed)) as exchanges,
        ):
            logs.append(log)

            @lru_cache(maxsize=4)
            def state(slot: int) -> Mapping[str, Span]:
                return {**timeline.state(slot), **ailing(bus, choices.seed, slot, slot - first, choices.faults)}

            def advance(slot: int) -> None:
                truth.advance(slot)
                exchanges.advance(slot)

            servers.follow(state)
            await _slots(times, servers, advance, log, clock=clock, stop=stop, ready=lambda: ready(run), late=late)


async def _slots(
    times: Timing,
    servers: Servers,
    advance: Callable[[int], None],
    log: AccessLog,
    *,
    clock: Callable[[], float],
    stop: asyncio.Event,
    ready: Callable[[], None],
    late: Callable[[int, int], None],
) -> None:
    applied: int | None = None
    while not stop.is_set():
        slot = times.slot_at(clock())
        if slot != applied:
            advance(slot)
            servers.apply(slot)
            if applied is None:
                ready()
            elif slot > applied + 1 or clock() > slot * times.slot:
                late(applied + 1, slot + 1)
            applied = slot
        log.flush()
        # a millisecond more, since a timer may fire that much early
        pause = min(_FLUSH, max(times.effect(slot + 1) - clock(), 0.0) + 0.001)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
