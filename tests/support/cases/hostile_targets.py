"""Probe hostile targets beside a healthy one, and return the results of both.

The healthy target can fail only by its timeout, whatever its latency. Such a failure means that the loop stood still.
The clock counts only the time that this loop computes and waits, so servers must run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from services.core.model.measurement import Measurement
from services.core.model.outcome import Reason
from services.core.model.probe import Probe
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probing import register, running
from tests.support.patient_loop import PatientLoop, loop_clock
from tests.support.servers.http_server import LOOPBACK, assignment, says, serving

__all__ = ["AtOnce", "Outcome", "probed", "probed_at_once"]

_HEALTHY = "healthy"
_DEFINITION = Probe(_HEALTHY, "http", timeout=0.9)
_ANY_LATENCY = 3600
_PAUSE = 0.05
_SLOTS = 3


@dataclass(frozen=True)
class Outcome:
    """The published measurements."""

    rows: list[Measurement]

    def of(self, name: str) -> list[Measurement]:
        """Return the measurements of one target, from at least two slots."""
        rows = [row for row in self.rows if row.target.id == name]
        assert len({row.slot_start for row in rows}) > 1
        return rows

    def assert_healthy(self) -> None:
        """Assert that the healthy target was OK in each slot."""
        assert {row.reason for row in self.of(_HEALTHY)} == {Reason.OK}


def probed(folder: Path, targets: Mapping[str, tuple[Probe, str]]) -> Outcome:
    """Let a prober probe these targets, and a healthy one beside them, for some slots."""
    with loop_clock("services.prober"), asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(_probed(folder, targets))


async def _probed(folder: Path, targets: Mapping[str, tuple[Probe, str]]) -> Outcome:
    async with serving(says()) as server:
        every = {**targets, _HEALTHY: (_DEFINITION, server.url())}
        first = register({name: url for name, (_, url) in every.items()}, latency_ms=_ANY_LATENCY * 1000)
        links = {name: replace(link, probe=name) for name, link in first.links.items()}
        probes = {name: replace(definition, name=name) for name, (definition, _) in every.items()}
        async with running(folder, replace(first, links=links, probes=probes)) as prober:
            return Outcome(await prober.sink.until(lambda rows: len(_slots(rows)) > _SLOTS))


def _slots(rows: list[Measurement]) -> set[int]:
    return {row.slot_start for row in rows}


@dataclass(frozen=True)
class AtOnce:
    """The result of each target, and those of the healthy one, which was probed again and again meanwhile."""

    results: dict[str, ProbeResult]
    healthy: list[Reason]

    def assert_healthy(self) -> None:
        """Assert that the healthy target was always OK."""
        assert set(self.healthy) == {Reason.OK}


def probed_at_once(targets: Mapping[str, tuple[Probe, str]]) -> AtOnce:
    """Probe all targets at once, each with its own provider. Probe a healthy one until all have ended."""
    with loop_clock("services.prober"), asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(_probed_at_once(targets))


async def _probed_at_once(targets: Mapping[str, tuple[Probe, str]]) -> AtOnce:
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    runner = ProbeRunner(environment, structlog.get_logger())

    async def probe(name: str, definition: Probe, url: str) -> ProbeResult:
        return await runner.probe(replace(assignment(url, definition, name=name, latency=_ANY_LATENCY), provider=name))

    async with serving(says()) as server:
        hostile = {name: asyncio.create_task(probe(name, *target)) for name, target in targets.items()}
        healthy = []
        while not all(task.done() for task in hostile.values()):
            result = await probe(_HEALTHY, _DEFINITION, server.url())
            healthy.append(result.judgement.reason)
            await asyncio.sleep(_PAUSE)
        await environment.close()
    return AtOnce({name: task.result() for name, task in hostile.items()}, healthy)
