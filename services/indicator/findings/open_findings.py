"""Open findings: what they have seen so far, when they end, and how they are reported (docs/method.md §12.6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Final

import numpy as np

from services.core.model import MOST_FLOWS, Finding, FindingKind, finding_id
from services.indicator.array_types import Floats
from services.indicator.findings.evidence import far_above
from services.indicator.findings.inputs import DetectorSettings
from services.indicator.findings.kinds import SIDES, Family
from services.indicator.findings.rows import Rows

ENDED: Final = log(1_000.0)
"""The evidence, in nats, from which a finding is over."""

MOST_A_STEP: Final = ENDED / 3.0
"""The most of that evidence that one step adds, and that one flow adds or takes away in a step. So neither one odd hour
nor a burst of one flow of many ends a finding.
"""

USUAL_AFTER_WEEKS: Final = 4
"""Weeks after which a finding, except silence, has become usual."""

_POOLED: Final = 2.0
"""The exchanges that all flows of a finding count for beside those of one flow."""

_DEVIATIONS: Final = 1.96
_MILD: Final = 0.8


@dataclass(slots=True)
class OpenFinding:
    """A finding of a side, charged to ``row``. Steps are counted since the detector began.

    ``seen``, ``expected`` and ``variance`` are sums since the step ``since``, and ``day_variance`` is relative. To be
    reported, they are divided by ``base``: exchanges where they are shares, 1 where they are volumes. ``measured`` are
    the sums of durations and exchanges by which SLOW is reported. ``of_flows`` (2, f) are the counts seen and expected
    of each flow since the step ``made``, and ``today`` (2, f) those of flows that are judged by whole days, on ``day``.

    ``back`` is the evidence that the finding is over, gathered since ``back_since``. ``pending`` is added to seen,
    expected, variance and base if it is not over. ``usual`` says that it ended because it has become usual.
    """

    side: int
    row: int
    flows: list[int]
    since: int
    since_time: int
    found_at: int
    seen: float
    expected: float
    variance: float
    day_variance: float
    chance: float
    base: float
    measured: list[float]
    of_flows: Floats
    today: Floats
    day: int
    made: int
    back: float = 0.0
    back_since: int = 0
    pending: Floats = field(default_factory=lambda: np.zeros(4))
    usual: bool = False

    @property
    def silent(self) -> bool:
        """Whether exchanges were expected and none were seen."""
        return SIDES[self.side].family is Family.VOLUME and not SIDES[self.side].up and self.seen == 0

    @property
    def may_become_usual(self) -> bool:
        """Whether it is not silence, and no evidence shows that it is over."""
        return not self.silent and self.back <= 0.0

    def usual_from(self, week_steps: int) -> int:
        """Return the step from which it is usual: weeks after it began, and a week after its flows are counted."""
        return max(self.since + USUAL_AFTER_WEEKS * week_steps, self.made + week_steps)

    def ratios(self) -> Floats:
        """Return the ratio of seen to expected of each flow, (f,), pooled with that of all flows of the finding."""
        seen, expected = self.of_flows
        of_all = self.seen / max(self.expected, 1e-9)
        return np.asarray((seen + _POOLED * of_all) / (expected + _POOLED))

    def add(self, of_flows: Floats, base: Floats, variance: float) -> None:
        """Add a step: counts seen and expected of each flow, (2, f), its part of the base, (f,), and the variance."""
        self.of_flows += of_flows
        self.pending += (*of_flows.sum(axis=1), variance, base.sum())

    def ends(self, judged: Floats, weights: Floats, base: Floats, step: int) -> bool:
        """Weigh the judged counts of each flow in a step, (2, f), with its base, (f,); return whether it is over."""
        counts, means = judged
        if not judged.any():
            return False
        ratios = self._ratios_of(means, base)
        middle = (np.maximum(ratios, 1.0 / _MILD) if SIDES[self.side].up else np.minimum(ratios, _MILD)) / 2.0 + 0.5
        evidence = weights * (means * (middle - 1.0) - counts * np.log(middle))
        if not SIDES[self.side].up:  # a burst shows neither that all is as expected nor that it is not
            evidence[weights * counts > far_above(weights * means)] = 0.0
        self.back += min(float(np.clip(evidence, -MOST_A_STEP, MOST_A_STEP).sum()), MOST_A_STEP)
        if self.back <= 0.0:
            self.back, self.back_since = 0.0, step + 1
            seen, expected, variance, of_base = self.pending.tolist()
            self.seen += seen
            self.expected += expected
            self.variance += variance
            self.base += of_base
            self.pending[:] = 0.0
        return self.back >= ENDED

    def ends_with_day(self, day: int, variance: Floats, step: int) -> bool:
        """Weigh the sums of the last day once ``day`` is another one; return whether the finding is over.

        ``variance`` (f,) is the relative variance of days, and ``step`` the last one before.
        """
        if day == self.day:
            return False
        judged, self.today, self.day = self.today, np.zeros_like(self.today), day
        return self.ends(judged, 1.0 / (1.0 + judged[1] * variance), np.zeros(len(self.flows)), step)

    def _ratios_of(self, means: Floats, base: Floats) -> Floats:
        """Return each flow's ratio to its mean while the finding lasts, (f,): shares rise by equal points."""
        if SIDES[self.side].family is Family.VOLUME:
            return np.full_like(means, self.seen / self.expected if self.expected else 1.0)
        points = (self.seen - self.expected) / max(self.base, 1e-9)
        return np.asarray(1.0 + points * base / np.where(means > 0, means, 1.0))

    def finding(self, rows: Rows, rates: Floats, settings: DetectorSettings, ended_at: int | None) -> Finding:
        """Return the finding as it is reported; ``rates`` (f,) order its flows."""
        side = SIDES[self.side]
        kind = FindingKind.SILENCE if self.silent else side.kind
        scale = 1.0 / max(self.base, 1e-9)
        days = max((self.back_since - self.since) / settings.day_steps, 1.0)
        deviation = _DEVIATIONS * scale * sqrt(self.variance + self.expected**2 * self.day_variance / days)
        seen, expected = scale * self.seen, scale * self.expected
        if side.family is Family.SLOW and self.measured[1]:
            seen = self.measured[0] / self.measured[1]
        largest = sorted(self.flows, key=lambda flow: (-rates[flow], flow))[:MOST_FLOWS]
        scope, subject = rows.scope[self.row], rows.subject[self.row]
        return Finding(
            id=finding_id(side.kind, scope, subject, self.since_time),
            kind=kind,
            scope=scope,
            subject=subject,
            since=self.since_time,
            found_at=self.found_at,
            ended_at=ended_at,
            step_seconds=settings.step_seconds,
            seen=float(seen),
            expected=float(expected),
            expected_low=float(max(expected - deviation, 0.0)),
            expected_high=float(expected + deviation),
            chance=self.chance,
            flows=tuple(rows.subject[flow] for flow in largest),
            flow_count=len(self.flows),
            usual=self.usual,
        )


def chance_of(evidence: float) -> float:
    """Return the most that the probability of so much evidence by luck can be: e to the minus ``evidence``."""
    return exp(-min(evidence, 700.0))


def mean_duration(durations: Floats, bounds: tuple[float, ...]) -> tuple[float, float]:
    """Return the sum of durations in buckets (b,), in milliseconds, each taken for the middle of its bucket, and their number."""
    edges = np.array(
        [bounds[0] / 2.0, *bounds[: len(durations) - 1], bounds[min(len(durations), len(bounds)) - 1] * 2.0]
    )
    middles = np.sqrt(edges[:-1] * edges[1:])
    return float((durations * middles).sum()), float(durations.sum())
