"""Plays a scenario until told to stop: servers up, register and truth on disk, slot after slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from services.sandbox.certificates import open_authority
from services.sandbox.directory import ACCESS, Choices, make_directory, settle
from services.sandbox.run import TRUTH, Run
from services.sandbox.scenario import BUS, scenario
from services.sandbox.servers import Servers
from services.sandbox.sites import allow_open_files, sites
from services.sandbox.timeline import Timeline
from services.sandbox.timing import Timing, timing
from services.sandbox.truth import AccessLog, Truth

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

    served = sites(made, authority, clock=clock)
    allow_open_files(len(served))
    async with Servers(served, times, clock=clock, answered=note) as servers:
        run = settle(choices, made, times, clock)
        timeline = Timeline(
            made.wires, bus=BUS, seed=choices.seed, first_slot=run.header.first_slot, intensity=choices.faults
        )
        truth = Truth(choices.directory / TRUTH, run.header, timeline, run.kept, run.cycle)
        with (
            contextlib.closing(truth),
            contextlib.closing(AccessLog(choices.directory / ACCESS, go_on=run.resumed)) as log,
        ):
            logs.append(log)
            servers.follow(timeline.state)
            await _slots(times, servers, truth, log, clock=clock, stop=stop, ready=lambda: ready(run), late=late)


async def _slots(
    times: Timing,
    servers: Servers,
    truth: Truth,
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
            truth.advance(slot)
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
