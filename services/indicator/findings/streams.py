"""All streams in a step: what is expected of them, the evidence against it, and what is learned (docs/method.md §12.1-12.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.findings.dispersion import Dispersion
from services.indicator.findings.evidence import Evidence
from services.indicator.findings.expectation import Expectation, Expected
from services.indicator.findings.inputs import DetectorSettings, StepCounts
from services.indicator.findings.kinds import FACTOR, FAMILY, POINTS, SIDE_OF_TEST, SIDES, UP, Family
from services.indicator.findings.rows import Rows
from services.indicator.findings.shares import ShareCounts, Shares

SUSPECTED: Final = 4.6
"""Evidence, in nats (1 in 100 by luck), from which a step is not learned."""

HOURLY_MOST: Final = 1.0
"""The relative variance of steps beyond which a row is judged by whole days: a batch comes once a night, if not always at two."""

KIND_VARIANCE: Final = 0.1
"""What is added to the relative variance of days on days of a kind, of which few were seen."""

DAILY_DOUBT: Final = 0.1
"""The relative deviation of a day's expectation that is allowed for where days are judged whole."""

SUM_DOUBT: Final = 0.03
"""The relative deviation of a sum's expectation that is allowed for beside those of its flows."""

MOST_DOUBT: Final = 0.9
MOST_SHARE: Final = 0.95
LEAST_FACTOR: Final = 1.2

BURSTS_HALF_LIFE_DAYS: Final = 28.0

_FAMILIES: Final = len(Family)
_VOLUMES: Final = (FAMILY == Family.VOLUME)[:, None]


@dataclass(slots=True, eq=False)
class Today:
    """Sums of the day so far, (sides, r): counts and what was expected of them where known, which were
    judged, and the exchanges, (r,).
    """

    count: Floats
    mean: Floats
    exchanges: Floats
    judged: Bools

    @classmethod
    def empty(cls, rows: int) -> Today:
        """Return a day that has not begun."""
        shape = len(SIDES), rows
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(rows), np.zeros(shape, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class JudgedStep:
    """A step by family: counts and means of known flows (6, f); of rows, without flows that findings are open of, (6, r), the
    part ``doubt`` by which means may be off, and which are ``judged``; the relative variance ``shape_doubt`` of the hour's volume and the
    ``exchanges``, (r,). Sums are of judged flows.
    """

    expected: Expected
    of_flows: Floats
    means_of_flows: Floats
    count: Floats
    mean: Floats
    doubt: Floats
    judged: Bools
    shape_doubt: Floats
    exchanges: Floats


class Streams:
    """The state of all streams."""

    def __init__(self, rows: Rows, settings: DetectorSettings) -> None:
        self.rows, self.settings = rows, settings
        self.expectation = Expectation.empty(rows, settings)
        self.shares = Shares.empty(rows.flows)
        self.dispersion = Dispersion.empty(len(rows))
        self.evidence = Evidence.empty(len(rows))
        self.today = Today.empty(len(rows))

    def parts(self) -> dict[str, Any]:
        """Return the parts of the state by name."""
        return {
            "expectation": self.expectation,
            "shares": self.shares,
            "dispersion": self.dispersion,
            "evidence": self.evidence,
            "today": self.today,
        }

    def day_variance(self) -> Floats:
        """Return the relative variance of days of each flow's volume, (f,)."""
        return self.dispersion.of_days()[0, : self.rows.flows]

    def expect(self, step: StepCounts) -> Expected:
        """Return what is expected of a step."""
        return self.expectation.of_step(step, self.rows, self.settings, self.day_variance())

    def judge(self, step: StepCounts, expected: Expected, covered: Bools, number: int) -> JudgedStep:
        """Add a step, by its number, to the evidence, each side against what it allows for, but for flows that findings
        cover, (6, f).
        """
        judged = self._gather(step, expected, self.shares.of_step(step), covered)
        count, mean = judged.count[FAMILY], judged.mean[FAMILY]
        doubt = judged.doubt[FAMILY]
        allowance = np.where(UP[:, None], 1.0 + doubt, 1.0 - np.minimum(doubt, MOST_DOUBT))
        days, steps = self.dispersion.of_days(), self.dispersion.of_steps()
        excess = np.maximum(steps - days, 0.0) + np.where(_VOLUMES, judged.shape_doubt, 0.0)
        weight = 1.0 / (1.0 + mean * allowance * excess)
        hourly = (steps - days <= HOURLY_MOST) & judged.judged[FAMILY]
        size = 1.0 / (days + (KIND_VARIANCE if step.kind else 0.0))
        now, usual = np.where(hourly, count, 0.0), np.where(hourly, mean, 0.0)
        self._add(now, usual, allowance, size, weight, judged.exchanges, number)
        if not step.kind:
            self.dispersion.learn_step(count, mean, mean > 0, self.settings.day_steps)
        self.today.count += count
        self.today.mean += mean
        self.today.exchanges += judged.exchanges
        self.today.judged |= judged.judged[FAMILY]
        return judged

    def _gather(self, step: StepCounts, expected: Expected, shares: ShareCounts, covered: Bools) -> JudgedStep:
        rows = self.rows
        exchanges = np.asarray(step.count, np.float64)
        known = np.concatenate([expected.known[None], shares.known])
        judged = known & expected.judged
        doubt = np.concatenate([expected.doubt[None], shares.doubt])
        of_flows = np.where(known, np.concatenate([exchanges[None], shares.count]), 0.0)
        means_of_flows = np.where(known, np.concatenate([expected.mean[None], shares.mean]), 0.0)
        watched = judged & ~covered
        count, mean = np.where(watched, of_flows, 0.0), np.where(watched, means_of_flows, 0.0)
        sums = rows.with_sums(np.stack([count, mean, (doubt * mean) ** 2, watched]))
        total = np.maximum(sums[1], 1e-12)
        shape_doubt = rows.with_sums(mean[0] ** 2 * expected.shape_doubt) / total[0] ** 2
        of_sums = np.where(np.arange(len(rows)) < rows.flows, 0.0, SUM_DOUBT)
        doubts = np.sqrt(sums[2] / total**2 + of_sums**2)
        # How flows differ is learned before they are judged.
        sums[:2, :, : rows.flows] = np.where(covered, 0.0, np.stack([of_flows, means_of_flows]))
        return JudgedStep(
            expected,
            of_flows,
            means_of_flows,
            count=sums[0],
            mean=sums[1],
            doubt=doubts,
            judged=sums[3] > 0,
            shape_doubt=shape_doubt,
            exchanges=rows.with_sums(exchanges),
        )

    def _add(
        self,
        count: Floats,
        mean: Floats,
        allowance: Floats,
        size: Floats,
        weight: Floats,
        exchanges: Floats,
        number: int,
    ) -> None:
        """Add counts and means (sides, r); alternatives that add points depend on the share of ``exchanges`` (r,)."""
        factor = np.broadcast_to(FACTOR[:, None], (len(FACTOR), len(self.rows))).copy()
        points = POINTS > 0
        share = mean[SIDE_OF_TEST[points]] / np.maximum(exchanges, 1.0)
        share = np.where(share > 0, share, 1.0)
        factor[points] = np.maximum(np.minimum(1.0 + POINTS[points, None] / share, MOST_SHARE / share), LEAST_FACTOR)
        by_test = (one[SIDE_OF_TEST] for one in (count, mean, allowance, size, weight))
        self.evidence.add(*by_test, factor=factor, step=number)

    def end_day(self, kind: int, number: int) -> None:
        """Judge what is judged by whole days, and learn how days differ; ``number`` is that of the day's last step."""
        days, steps = self.dispersion.of_days(), self.dispersion.of_steps()
        daily = (steps - days > HOURLY_MOST) & self.today.judged
        allowance = np.broadcast_to(np.where(UP[:, None], 1.0 + DAILY_DOUBT, 1.0 - DAILY_DOUBT), daily.shape)
        size = 1.0 / (days + (KIND_VARIANCE if kind else 0.0))
        count, mean = np.where(daily, self.today.count, 0.0), np.where(daily, self.today.mean, 0.0)
        self._add(count, mean, allowance, size, np.ones_like(mean), self.today.exchanges, number)
        known = self.today.mean > 0
        if not kind:
            self.dispersion.learn_day(self.today.count, self.today.mean, known, self.rows.flows)
        self.evidence.end_day(known, 0.5 ** (1.0 / BURSTS_HALF_LIFE_DAYS))
        self.shares.end_day()
        self.today = Today.empty(len(self.rows))

    def learn(self, step: StepCounts, expected: Expected, covered: Bools, number: int) -> None:
        """Learn a step, but what is suspected, or covered by findings, (6, f)."""
        flows = self.rows.flows
        strong = self.evidence.total()[:, :flows] >= SUSPECTED
        # Volumes are learned a week late, so only what began that long ago concerns them; the rest is learned at once.
        families = FAMILY[SIDE_OF_TEST]
        began_earlier = self.evidence.begun[:, :flows] <= number - self.settings.week_steps
        strong &= began_earlier | (families != Family.VOLUME)[:, None]
        suspected = np.zeros((_FAMILIES, flows), np.bool_)
        np.logical_or.at(suspected, families, strong)
        self.expectation.learn(
            step,
            expected,
            self.rows,
            self.settings,
            left_out=covered[Family.VOLUME],
            suspected=suspected[Family.VOLUME],
            deviation=np.sqrt(self.dispersion.of_steps()[1, :flows]),
        )
        if step.read:
            self.shares.learn(step, self.settings, (suspected | covered)[1:])

    def expected_since(self, family: Family, steps: int, week_step: int, judged: JudgedStep) -> Floats:
        """Return what was expected of each flow in the last steps, at most a week: counts of the family, (f,)."""
        now = judged.means_of_flows[family]
        earlier = np.arange(1, min(steps, self.settings.week_steps))
        volume = self.expectation.recent((week_step - earlier) % self.settings.week_steps)
        if family is Family.VOLUME:
            return np.asarray(volume + now)
        exchanges = np.maximum(judged.means_of_flows[Family.VOLUME], 1e-9)
        return np.asarray(now + volume * np.minimum(now / exchanges, 1.0))

    def forget(self, family: Family, flows: list[int], number: int) -> None:
        """Begin the evidence of all rows that contain some flows anew, on all sides of a family."""
        some = np.zeros(self.rows.flows, np.bool_)
        some[flows] = True
        rows = np.flatnonzero(self.rows.sums_with(some))
        for side in np.flatnonzero(family == FAMILY).tolist():
            self.evidence.forget(side, rows, number)

    def take_as_usual(self, family: Family, flows: Ints) -> None:
        """Let what some flows do from now on be what is usual."""
        if family is Family.VOLUME:
            self.expectation.begin_again(flows)
        else:
            self.shares.begin_again(family, flows)
