"""Probing of hostile targets beside a healthy one: what comes of each, and whether the prober's loop stood still.

The clock counts only what that loop computes and waits for, so servers belong into threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import structlog

from services.core.model.measurement import Measurement
from services.core.model.outcome import Reason
from services.core.model.probe import Probe
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.excuses import TICK_SECONDS, LoopStalls
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probing import register, running
from tests.support.patient_loop import PatientLoop, loop_clock, monotonic
from tests.support.servers.http_server import LOOPBACK, assignment, says, serving

__all__ = ["AtOnce", "Outcome", "probed", "probed_at_once"]

_HEALTHY = "healthy"
_SLOTS = 3


@dataclass(frozen=True)
class Outcome:
    """What was published, and for how many seconds the loop stood still by the prober's own count."""

    rows: list[Measurement]
    stalled: float

    def of(self, name: str) -> list[Measurement]:
        """What was measured of one target, in two slots at least."""
        rows = [row for row in self.rows if row.target.id == name]
        assert len({row.slot_start for row in rows}) > 1
        return rows

    def assert_healthy(self) -> None:
        """The healthy target was OK in each slot, and the loop never stood still."""
        assert {row.reason for row in self.of(_HEALTHY)} == {Reason.OK}
        assert self.stalled == 0.0


def probed(folder: Path, targets: Mapping[str, tuple[Probe, str]]) -> Outcome:
    """Have a prober probe targets by their definitions, and a healthy one beside them, for some slots."""
    with loop_clock("services.prober"), asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(_probed(folder, targets))


async def _probed(folder: Path, targets: Mapping[str, tuple[Probe, str]]) -> Outcome:
    async with serving(says()) as server:
        healthy = Probe(_HEALTHY, "http", timeout=0.9), server.url()
        every = {**targets, _HEALTHY: healthy}
        first = register({name: url for name, (_, url) in every.items()}, latency_ms=200)
        links = {name: replace(link, probe=name) for name, link in first.links.items()}
        probes = {name: replace(definition, name=name) for name, (definition, _) in every.items()}
        async with running(folder, replace(first, links=links, probes=probes)) as prober:
            await prober.sink.until(lambda rows: len(_slots(rows)) > 1)
            stalls, began = prober.prober._stalls, monotonic()
            stalls.remembered = inf
            rows = await prober.sink.until(lambda rows: len(_slots(rows)) > _SLOTS)
            return Outcome(rows, stalls.seconds(began, monotonic()))


def _slots(rows: list[Measurement]) -> set[int]:
    return {row.slot_start for row in rows}


@dataclass(frozen=True)
class AtOnce:
    """What came of each target, and of the healthy one again and again until then; and seconds as above."""

    results: dict[str, ProbeResult]
    healthy: list[Reason]
    stalled: float

    def assert_healthy(self) -> None:
        """The healthy target was always OK, and the loop never stood still."""
        assert set(self.healthy) == {Reason.OK}
        assert self.stalled == 0.0


def probed_at_once(targets: Mapping[str, tuple[Probe, str]]) -> AtOnce:
    """Probe targets, each of a provider of its own, all at once, and a healthy one until all have ended."""
    with loop_clock("services.prober"), asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(_probed_at_once(targets))


async def _probed_at_once(targets: Mapping[str, tuple[Probe, str]]) -> AtOnce:
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    stalls = LoopStalls(inf)
    runner = ProbeRunner(environment, structlog.get_logger(), stalls=stalls)

    async def tick() -> None:
        while True:
            stalls.tick(monotonic())
            await asyncio.sleep(TICK_SECONDS)

    async def probe(name: str, definition: Probe, url: str) -> ProbeResult:
        return await runner.probe(replace(assignment(url, definition, name=name, latency=0.2), provider=name))

    async with serving(says()) as server:
        began = monotonic()
        ticking = asyncio.create_task(tick())
        hostile = {name: asyncio.create_task(probe(name, *target)) for name, target in targets.items()}
        healthy = []
        while not all(task.done() for task in hostile.values()):
            result = await probe(_HEALTHY, Probe(_HEALTHY, "http"), server.url())
            healthy.append(result.judgement.reason)
            await asyncio.sleep(TICK_SECONDS)
        stalled = stalls.seconds(began, monotonic())
        ticking.cancel()
        await environment.close()
    return AtOnce({name: task.result() for name, task in hostile.items()}, healthy, stalled)
