"""Judges and learns steps of all streams: what is expected, and the evidence against it (docs/method.md §12.1-12.4)."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.findings.dispersion import Dispersion
from services.indicator.findings.evidence import ChangeEvidence, JudgedCounts
from services.indicator.findings.expectation import Expectation, Expected
from services.indicator.findings.inputs import DetectorSettings, StepCounts
from services.indicator.findings.kinds import (
    FACTOR,
    FAMILY,
    LEAST_FACTOR,
    POINTS,
    SIDE_OF_GROUP,
    SIDE_OF_TEST,
    SILENCE,
    UP,
    Family,
)
from services.indicator.findings.rows import Rows
from services.indicator.findings.shares import ShareCounts, Shares
from services.indicator.findings.steps import JudgedStep, Today

SUSPECTED: Final = 4.6
"""The evidence, in nats (1 in 100 by luck), from which a step is not learned."""

SUSPECTED_WEEKS: Final = 4
"""Weeks after which such a step is learned all the same."""

HOURLY_MOST: Final = 1.0
"""The relative variance of steps beyond which a row is judged by whole days: nightly batches come at varying hours."""

PEAK: Final = 0.3
PEAK_STEPS: Final = 3.0
"""The part of a day's volume in one step beyond which the same holds, and the least multiple of a mean step that this
part must be: a batch may come a step later for once.
"""

KIND_VARIANCE: Final = 0.1
"""The addition to the relative variance of days on days of a kind: few of them were seen."""

DAILY_DOUBT: Final = 0.1
"""The relative deviation of a day's expectation that is allowed for where days are judged whole."""

LEARNED_DAYS: Final = 6.0
"""Days, with forgetting, after which a sum is judged: a week."""

SUM_DOUBT: Final = 0.03
"""The relative deviation of a sum's expectation that is allowed for beside those of its flows."""

UNBOUNDED: Final = 1e6
MOST_DOUBT: Final = 0.9
MOST_SHARE: Final = 0.95

BURSTS_HALF_LIFE_DAYS: Final = 28.0

_FAMILIES: Final = len(Family)
_VOLUMES: Final = (FAMILY == Family.VOLUME)[:, None]
_OF_VOLUMES: Final = np.array([Family.VOLUME, _FAMILIES, 2 * _FAMILIES, 3 * _FAMILIES])
"""The lines of volumes in the stack of counts, means, variances of means, and variances of shapes."""


class WatchedStreams:
    """The state of all streams. ``daily`` (sides, r) marks the rows that are judged by the whole day that has begun."""

    def __init__(self, rows: Rows, settings: DetectorSettings) -> None:
        self.rows, self.settings = rows, settings
        self.expectation = Expectation.empty(rows, settings)
        self.shares = Shares.empty(rows.service, settings.week_steps)
        self.dispersion = Dispersion.empty(len(rows))
        self.evidence = ChangeEvidence.empty(len(rows))
        self.today = Today.empty(len(rows))
        self.daily = np.zeros((len(FAMILY), len(rows)), np.bool_)
        self.digits = np.zeros(len(rows), np.int64)
        self.see_variances()

    def see_variances(self) -> None:
        """Update the relative variances of days and of steps, (sides, r) each, to what is known by now."""
        self.days, self.steps = self.dispersion.of_days(), self.dispersion.of_steps()

    def day_variance(self) -> Floats:
        """Return the relative variance of days of each flow's volume, (f,)."""
        return self.days[1, : self.rows.flows]

    def expect(self, step: StepCounts) -> Expected:
        """Return what is expected of a step."""
        steps = self.steps[1, : self.rows.flows]
        return self.expectation.of_step(step, self.rows, self.settings, self.day_variance(), steps)

    def judge(self, step: StepCounts, expected: Expected, covered: Bools, number: int) -> JudgedStep:
        """Add step ``number`` to the evidence, each side with its own allowance; return the judged step.

        Flows that findings cover, (6, f), are left out.
        """
        judged = self._gather(step, expected, self.shares.of_step(step), covered)
        count, mean = judged.count[FAMILY], judged.mean[FAMILY]
        doubt = judged.doubt[FAMILY]
        allowance = np.where(UP[:, None], 1.0 + doubt, 1.0 - np.minimum(doubt, MOST_DOUBT))
        unsure = np.where(_VOLUMES, judged.shape_doubt, 0.0)
        size = 1.0 / (self.days + (KIND_VARIANCE if step.kind else 0.0))
        now, usual = np.where(self.daily, 0.0, count), np.where(self.daily, 0.0, mean)
        self._add(JudgedCounts(now, usual, allowance, size, self._excess(mean), unsure), judged.exchanges, number)
        if not step.kind:
            chance = np.zeros_like(mean)
            chance[:, : self.rows.flows] = np.where(_VOLUMES, expected.shape_chance, 0.0)
            self.dispersion.learn_step(count, mean, mean > 0, chance, self.settings.day_steps)
        self.today.count += count
        self.today.mean += mean
        self.today.exchanges += judged.exchanges
        self.today.judged |= judged.judged[FAMILY]
        return judged

    def _excess(self, mean: Floats) -> Floats:
        """Return the relative variance of a step beyond chance, (sides, r), with these means."""
        flows = self.rows.flows
        # It is not known well how much of the variance of steps is the day's: at least half is taken for their own.
        excess = np.maximum(self.steps - self.days, self.steps / 2)
        # A sum varies as its flows do, and more in an hour in which one of them is most of it.
        squares = np.where(_VOLUMES & self.daily_volumes(), 0.0, mean[:, :flows] ** 2 * excess[:, :flows])
        of_flows = self.rows.with_sums(squares)[:, flows:] / np.maximum(mean[:, flows:], 1e-12) ** 2
        excess[:, flows:] = np.maximum(excess[:, flows:], of_flows)
        return excess

    def _gather(self, step: StepCounts, expected: Expected, shares: ShareCounts, covered: Bools) -> JudgedStep:
        rows = self.rows
        exchanges = np.asarray(step.count, np.float64)
        known = np.concatenate([expected.known[None], shares.known])
        doubt = np.concatenate([expected.doubt[None], shares.doubt])
        of_flows = np.where(known, np.concatenate([exchanges[None], shares.count]), 0.0)
        means_of_flows = np.where(known, np.concatenate([expected.mean[None], shares.mean]), 0.0)
        count, mean = np.where(covered, 0.0, of_flows), np.where(covered, 0.0, means_of_flows)
        variance, shape_variance = (doubt * mean) ** 2, mean[:1] ** 2 * expected.shape_doubt
        own = np.concatenate([count, mean, variance, shape_variance])
        # Volumes that are judged by whole days would make hourly sums vary with them.
        in_sums = own.copy()
        in_sums[_OF_VOLUMES] = np.where(self.daily_volumes(), 0.0, own[_OF_VOLUMES])
        sums = rows.with_sums(in_sums)
        sums[:, : rows.flows] = own
        count, mean, variance, shape_variance = np.split(sums, [_FAMILIES, 2 * _FAMILIES, 3 * _FAMILIES])
        total = np.maximum(mean, 1e-12)
        of_sums = np.where(np.arange(len(rows)) < rows.flows, 0.0, SUM_DOUBT)
        # The variances of flows and sums, and how far they stray, are learned before they are judged.
        judged = np.zeros(mean.shape, np.bool_)
        judged[:, : rows.flows] = known & expected.judged & ~covered
        some = rows.with_sums(judged[:, : rows.flows].astype(np.float64))[FAMILY, rows.flows :] > 0
        judged[FAMILY, rows.flows :] = some & (self.evidence.days[: len(FAMILY), rows.flows :] >= LEARNED_DAYS)
        judged[1:, : rows.flows] &= shares.judged
        return JudgedStep(
            of_flows=of_flows,
            means_of_flows=means_of_flows,
            count=count,
            mean=mean,
            doubt=np.sqrt(variance / total**2 + of_sums**2),
            judged=judged,
            shape_doubt=shape_variance[0] / total[Family.VOLUME] ** 2,
            exchanges=rows.with_sums(exchanges),
        )

    def daily_volumes(self) -> Bools:
        """Return which flows' volumes (f,) are judged by whole days."""
        return self.daily[0, : self.rows.flows]

    def _add(self, counts: JudgedCounts, exchanges: Floats, number: int) -> None:
        """Add counts (sides, r); alternatives that add points depend on the share of ``exchanges`` (r,)."""
        factor = _factors(counts.mean * counts.allowance, exchanges)
        by_test = JudgedCounts(*(one[SIDE_OF_TEST] for one in counts))
        self.evidence.add(by_test, factor=factor, step=number)

    def end_day(self, kind: int, number: int) -> None:
        """Judge rows that are judged by whole days, and learn how days differ; ``number`` is the day's last step."""
        daily = self.daily
        allowance = np.broadcast_to(np.where(UP[:, None], 1.0 + DAILY_DOUBT, 1.0 - DAILY_DOUBT), daily.shape)
        size = 1.0 / (self.days + (KIND_VARIANCE if kind else 0.0))
        nothing = np.zeros_like(allowance)
        count, mean = np.where(daily, self.today.count, 0.0), np.where(daily, self.today.mean, 0.0)
        self._add(JudgedCounts(count, mean, allowance, size, nothing, nothing), self.today.exchanges, number)
        known = self.today.mean > 0
        if not kind:
            self.dispersion.learn_day(self.today.count, self.today.mean, known, self.rows.flows)
        self.evidence.end_day(
            known,
            self.today.judged,
            daily[SIDE_OF_GROUP[SILENCE]],
            self.digits,
            0.5 ** (1.0 / BURSTS_HALF_LIFE_DAYS),
            number + 1,
        )
        self.shares.end_day()
        self.today = Today.empty(len(self.rows))

    def begin_day(self, day: int) -> None:
        """Find the rows that are judged by this day as a whole, and the digits of a day's exchanges."""
        self.see_variances()
        level, _ = self.expectation.level(self.settings, self.day_variance())
        first = day * self.settings.day_steps
        steps = range(first, first + self.settings.day_steps)
        volumes = self.rows.with_sums(np.stack([level * self.expectation.shape(step, self.rows)[0] for step in steps]))
        part = max(PEAK, PEAK_STEPS / self.settings.day_steps)
        of_days = self.rows.with_sums(level) * self.settings.day_steps
        self.digits = np.log10(np.maximum(of_days, 1.0)).astype(np.int64)
        peaked = volumes.max(axis=0) > part * np.maximum(volumes.sum(axis=0), 1e-12)
        self.daily = (self.steps - self.days > HOURLY_MOST) | (_VOLUMES & peaked)

    def found(self, limits: Floats, judged: JudgedStep) -> Bools:
        """Return which tests (t, r) found something that is judged."""
        return np.asarray(self.evidence.found(limits) & judged.judged[FAMILY[SIDE_OF_TEST]])

    def learn(self, step: StepCounts, expected: Expected, covered: Bools, covered_before: Bools, number: int) -> None:
        """Learn a step, except what is suspected or covered by findings.

        ``covered`` (6, f) are the flows of all findings, and ``covered_before`` (6, f) those of earlier days' findings.
        """
        flows = self.rows.flows
        strong = self.evidence.total()[:, :flows] >= SUSPECTED
        # Volumes are learned a week late, so only evidence that began that long ago concerns them. The rest is learned
        # at once. Evidence that lasts for weeks without a finding comes from a level that was learned wrongly.
        families = FAMILY[SIDE_OF_TEST]
        weeks_ago = (number - self.evidence.begun[:, :flows]) / self.settings.week_steps
        concerned = (weeks_ago >= 1) & (weeks_ago <= SUSPECTED_WEEKS)
        strong &= concerned | (families != Family.VOLUME)[:, None]
        suspected = np.zeros((_FAMILIES, flows), np.bool_)
        np.logical_or.at(suspected, families, strong)
        self.expectation.learn(
            step,
            expected,
            self.rows,
            self.settings,
            left_out=covered[Family.VOLUME],
            left_out_before=covered_before[Family.VOLUME],
            suspected=suspected[Family.VOLUME],
            # A batch that came an hour early or late for once is learned as it is: the day has all of it.
            deviation=np.where(self.daily_volumes(), UNBOUNDED, np.sqrt(self.steps[1, :flows])),
        )
        if step.read:
            self.shares.learn(step, self.settings, (suspected | covered)[1:])

    def expected_since(self, family: Family, steps: int, week_step: int, judged: JudgedStep) -> tuple[Floats, Floats]:
        """Return the expected counts of a family for each flow in the last steps, at most a week, (f,).

        Also return the ratios of volumes seen to expected; they are NaN for other families, whose steps are not kept.
        """
        now = judged.means_of_flows[family]
        seen, volume = self.earlier(steps, week_step)
        if family is Family.VOLUME:
            expected = volume + now
            return expected, (seen + judged.of_flows[family]) / np.maximum(expected, 1e-9)
        exchanges = np.maximum(judged.means_of_flows[Family.VOLUME], 1e-9)
        return now + volume * np.minimum(now / exchanges, 1.0), np.full_like(now, np.nan)

    def since(self, family: Family, flows: Ints, steps: int, week_step: int, judged: JudgedStep) -> tuple[float, float]:
        """Return the counts of some flows seen and expected in the last steps, at most a week.

        For families other than volumes, whose steps are not kept, they are those of this step.
        """
        seen, expected = judged.of_flows[family, flows], judged.means_of_flows[family, flows]
        if family is Family.VOLUME:
            earlier, means = self.earlier(steps, week_step)
            seen, expected = seen + earlier[flows], expected + means[flows]
        return float(seen.sum()), float(expected.sum())

    def earlier(self, steps: int, week_step: int) -> tuple[Floats, Floats]:
        """Return the exchanges of each flow, seen and expected, in the last steps before this one, at most a week."""
        earlier = np.arange(1, min(steps, self.settings.week_steps))
        return self.expectation.recent((week_step - earlier) % self.settings.week_steps)

    def forget(self, family: Family, flows: list[int], number: int) -> None:
        """Reset the evidence of all rows that contain some flows, on all sides of a family."""
        some = np.zeros(self.rows.flows, np.bool_)
        some[flows] = True
        rows = np.flatnonzero(self.rows.sums_with(some))
        for side in np.flatnonzero(family == FAMILY).tolist():
            self.evidence.forget(side, rows, number)

    def take_as_usual(self, family: Family, flows: Ints, ratios: Floats) -> None:
        """Make what some flows do now the usual: ``ratios`` (f,) of what was expected of them."""
        if family is Family.VOLUME:
            self.expectation.rescale(flows, ratios)
        else:
            self.shares.rescale(family, flows, ratios)


def _factors(mean: Floats, exchanges: Floats) -> Floats:
    """Return the factor of each alternative, (t, r); some add points to the share of the exchanges that ``mean`` allows for."""
    factor = np.repeat(FACTOR[:, None], mean.shape[1], axis=1)
    points = POINTS > 0
    share = mean[SIDE_OF_TEST[points]] / np.maximum(exchanges, 1.0)
    share = np.where(share > 0, share, 1.0)
    factor[points] = np.maximum(np.minimum(1.0 + POINTS[points, None] / share, MOST_SHARE / share), LEAST_FACTOR)
    return factor
