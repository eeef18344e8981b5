"""Turns launches into published measurements: probes, holds results until the next control round, publishes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import monotonic
from typing import TypeAlias

from services.core.model import Measurement, Reason
from services.prober.assignments import ProbingPlan
from services.prober.attempt import ProbeRunner
from services.prober.checks import Judgement
from services.prober.excuses import Bracket, Circumstances, VantageFaults, excused, last_failure
from services.prober.metrics import ProberMetrics
from services.prober.observation import Failure, Observation
from services.prober.publishing import MeasurementPublisher, measured, unmeasured
from services.prober.scheduling import Launch

HeldMeasurement: TypeAlias = tuple[Measurement, int, float, Failure | None]
"""A measurement, the status of the answer (0 without one), the seconds that the probe took, and its failure.

The observation itself is not held, because its body may be large.
"""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Makes exactly one measurement of every launch."""

    runner: ProbeRunner
    bracket: Bracket[HeldMeasurement]
    publisher: MeasurementPublisher
    metrics: ProberMetrics

    async def probe(self, launch: Launch, plan: ProbingPlan) -> None:
        """Probe, and hold the measurement until the control round after it."""
        assignment, slot_start, slot_seconds = plan.assignments[launch.target], launch.slot_start, plan.slot_seconds
        began = monotonic()
        try:
            result = await self.runner.probe(
                assignment, assignment.turn(slot_start // slot_seconds), slot_end=slot_start + slot_seconds
            )
        except asyncio.CancelledError:
            detail = "the prober was stopped before the probe ended"
            self.publish_unmeasured(launch, plan, Reason.PROBER_ERROR, detail)
            raise
        observation = result.observation
        row = measured(launch.target, slot_start, observation, result.judgement, plan.origin)
        held = row, observation.status, observation.duration, last_failure(observation)
        self.bracket.hold(began, monotonic(), held)

    def publish_unmeasured(self, launch: Launch, plan: ProbingPlan, reason: Reason, detail: str) -> None:
        """Publish that nothing was measured for a launch, and why."""
        row = unmeasured(launch.target, launch.slot_start, reason, detail, plan.origin)
        self._publish(row, 0, 0.0)

    def release(self, held: HeldMeasurement, faults: VantageFaults) -> None:
        """Publish a held measurement, as UNKNOWN if the vantage was at fault."""
        row, status, duration, failure = held
        if faults.blind or faults.unresolved:
            seen = Observation(0.0, duration, phases=row.phases, failure=failure)
            circumstances = Circumstances(blind=faults.blind, unresolved=faults.unresolved)
            judgement = excused(Judgement(row.reason, row.detail), seen, circumstances)
            row = replace(row, outcome=judgement.outcome, reason=judgement.reason, detail=judgement.detail)
        self._publish(row, status, duration)

    def _publish(self, row: Measurement, status: int, duration: float) -> None:
        self.publisher.add(row)
        self.metrics.count_measurement(row, status, duration)
