"""The expected exchanges of each flow: a slow level, the shape of its week, and kinds of days (docs/method.md §12.2).

Everything is a sum that forgets, so a step costs the same however long the record is. A step is learned a week after it was
seen, unless a finding has been made of it meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints, Numbers
from services.indicator.findings.inputs import MOST_KINDS, DetectorSettings, StepCounts
from services.indicator.findings.rows import Rows

WEEK_KEPT: Final = 0.85
"""The weight that the shape keeps from one week to the next: eight weeks make nearly all of it."""

FAST_DAYS: Final = 7.0
SLOW_DAYS: Final = 28.0
"""Half-lives of the two levels, whose difference is the trend."""

GROWTH: Final = 0.002
"""The deviation of growth between flows that is assumed before it is seen, per day: a per cent and a half a week."""

MOST_GROWN: Final = 0.3
"""The most that a trend may carry the level, in logarithms."""

POOLED: Final = 2.0
"""The exchanges of an hour of the week that the shape of the service counts for."""

POOLED_DAYS: Final = 5.0
"""The exchanges that the kind of day counts for beside the flow's own on such days."""

KIND_DOUBT: Final = 0.2
"""The relative variance of an hour between days of a kind, as far as one day tells of another."""

KIND_DAYS: Final = 2.0
"""The days of a kind after which such days are judged. Each counts as its part in the flow's week: holidays on days off
tell little.
"""

MOST_OF_KIND: Final = 10.0
"""The largest factor of an hour on a kind of day: a batch that once came an hour early is no habit."""

ALIKE: Final = 2.0
"""The factor by which likeness between neighbouring days raises the variance of a mean."""

MISFIT: Final = 0.03
"""The deviation of level and shape that is allowed for even with many counts: less is nothing to find."""

OUTLIER: Final = 4.0
"""Counts further than so many deviations from the expected one are learned as if they were no further."""

LEARNED_WEEKS: Final = 2
"""Weeks that are learned before a flow is judged; the second shows how far off the first was."""

FEWEST_LEARNED: Final = 3.0
"""The fewest exchanges learned, with forgetting, before a flow is judged."""


@dataclass(slots=True, eq=False)
class Expected:
    """What is expected of f flows in a step, (f,) each.

    ``mean`` is the expected number. Flows are ``known``, and known for long enough to be ``judged``. ``doubt`` is the
    relative deviation of the level, and ``shape_doubt`` the relative variance of the hour's part in it.
    """

    mean: Floats
    shape: Floats
    known: Bools
    judged: Bools
    doubt: Floats
    shape_doubt: Floats
    shape_chance: Floats


@dataclass(slots=True, eq=False)
class Expectation:
    """Sums of f flows and s services over w steps of the week.

    ``seen``, ``seen_shape`` and ``seen_mean`` (w, f) are the last week, NaN where it is not to be learned. ``week`` (3, f)
    sums its exchanges, their shape and the number of steps; ``most_steps`` is that of the fullest week, ``learned`` of all.
    """

    counts: Numbers
    levels: Numbers
    seen: Numbers
    seen_shape: Numbers
    seen_mean: Numbers
    service_counts: Floats
    service_levels: Floats
    week: Floats
    most_steps: Floats
    fast: Floats
    slow: Floats
    learned: Floats
    kind_flow: Floats
    kind_hours: Numbers
    kind_service: Floats
    kind_steps: Floats

    @classmethod
    def empty(cls, rows: Rows, settings: DetectorSettings) -> Expectation:
        """Return the state of a detector that has seen nothing."""
        flows, services, week = rows.flows, int(rows.service.max(initial=-1)) + 1, settings.week_steps
        return cls(
            counts=np.zeros((week, flows), np.float32),
            levels=np.zeros((week, flows), np.float32),
            seen=np.full((week, flows), np.nan, np.float32),
            seen_shape=np.full((week, flows), np.nan, np.float32),
            seen_mean=np.full((week, flows), np.nan, np.float32),
            service_counts=np.zeros((week, services + 1)),
            service_levels=np.zeros((week, services + 1)),
            week=np.zeros((3, flows)),
            most_steps=np.zeros(flows),
            fast=np.zeros((3, flows)),
            slow=np.zeros((3, flows)),
            learned=np.zeros(flows),
            kind_flow=np.zeros((MOST_KINDS, 2, flows)),
            kind_hours=np.zeros((MOST_KINDS, settings.day_steps, 2, flows), np.float32),
            kind_service=np.zeros((MOST_KINDS, settings.day_steps, 2, services + 1)),
            kind_steps=np.zeros((MOST_KINDS, flows)),
        )

    def of_step(
        self, step: StepCounts, rows: Rows, settings: DetectorSettings, day_variance: Floats, step_variance: Floats
    ) -> Expected:
        """Return what is expected of a step.

        ``day_variance`` and ``step_variance`` (f,) are the relative variances of days and of steps.
        """
        shape, by_chance = self.shape(step.week_step, rows)
        level, doubt = self.level(settings, day_variance)
        weeks = self.levels[step.week_step] / np.maximum(level, 1e-9)
        doubt_of_shape = by_chance + step_variance / np.clip(weeks, 0.5, 1.0 / (1.0 - WEEK_KEPT))
        known = self.weeks_learned() >= 1
        mean = level * shape
        if step.kind:
            factor, doubt_of_kind = self._kind(step, rows, settings)
            mean, doubt_of_shape = mean * factor, doubt_of_shape + doubt_of_kind
            known = known & (self.kind_steps[step.kind] >= KIND_DAYS * settings.day_steps)
        return Expected(mean, shape, known, known & self.judged(), doubt, doubt_of_shape, by_chance)

    def weeks_learned(self) -> Floats:
        """Return the weeks that were learned of each flow, (f,). Steps that are never read are in no week."""
        return np.asarray(self.learned / np.maximum(self.most_steps, 1.0))

    def judged(self) -> Bools:
        """Return which flows are known well enough to be judged.

        Two weeks of such a flow were learned, after a third, and some exchanges.
        """
        return np.asarray((self.weeks_learned() >= LEARNED_WEEKS) & (self.slow[0] >= FEWEST_LEARNED))

    def shape(self, week_step: int, rows: Rows) -> tuple[Floats, Floats]:
        """Return each flow's part of the week's mean in this step, pooled with its service's, and its relative variance."""
        counts, levels = self.service_counts[week_step], self.service_levels[week_step]
        of_all = (counts[-1] + POOLED) / (levels[-1] + POOLED)
        of_service = (counts[:-1] + POOLED * of_all) / (levels[:-1] + POOLED)
        pooled = POOLED * of_service[rows.service]
        own, own_levels = self.counts[week_step].astype(np.float64), self.levels[week_step].astype(np.float64)
        return (own + pooled) / (own_levels + POOLED), 1.0 / (own + pooled + 1e-9)

    def level(self, settings: DetectorSettings, day_variance: Floats) -> tuple[Floats, Floats]:
        """Return the mean exchanges of a step now, with the trend continued, and its relative deviation."""
        step_days = 1.0 / settings.day_steps
        (fast, fast_weight, fast_age), (slow, slow_weight, slow_age) = self.fast, self.slow
        some = (fast_weight > 0) & (slow_weight > 0) & (fast > 0) & (slow > 0)
        weights = np.where(some, fast_weight, 1.0), np.where(some, slow_weight, 1.0)
        quick, steady = np.where(some, fast, 1.0) / weights[0], np.where(some, slow, 1.0) / weights[1]
        ages = [
            np.where(some, age, 0.0) / weight * step_days
            for age, weight in zip((fast_age, slow_age), weights, strict=True)
        ]
        apart = np.maximum(ages[1] - ages[0], 1.0)
        days = np.maximum(np.minimum(self.learned * step_days, 2 * FAST_DAYS), 1.0)
        noise = 1.0 / np.maximum(fast, 1.0) + ALIKE * day_variance / days
        sure = (GROWTH * apart) ** 2 / ((GROWTH * apart) ** 2 + noise)
        reach = sure * (ages[1] + 7.0) / apart
        grown = np.clip(np.log(quick / steady) * reach, -MOST_GROWN, MOST_GROWN)
        variance = (
            1.0 / np.maximum(slow, 1.0) + ALIKE * day_variance / np.maximum(days, 7.0) + reach**2 * noise + MISFIT**2
        )
        return np.where(some, steady * np.exp(grown), 0.0), np.sqrt(variance)

    def _kind(self, step: StepCounts, rows: Rows, settings: DetectorSettings) -> tuple[Floats, Floats]:
        """Return the part of an ordinary day's exchanges that a day of this kind has, and its relative variance."""
        hour = step.week_step % settings.day_steps
        counts, means = self.kind_service[step.kind, hour]
        of_all = (counts[-1] + 1.0) / (means[-1] + 1.0)
        of_service = (counts[:-1] + POOLED_DAYS * of_all) / (means[:-1] + POOLED_DAYS)
        own, own_means = self.kind_flow[step.kind]
        usual = of_service[rows.service] * (own + POOLED_DAYS) / (own_means + POOLED_DAYS)
        seen, seen_means = self.kind_hours[step.kind, hour].astype(np.float64)
        pooled = POOLED_DAYS * np.minimum(usual, MOST_OF_KIND)
        days = np.maximum(self.kind_steps[step.kind] / settings.day_steps, 1.0)
        variance = 1.0 / (seen + pooled + 1e-9) + KIND_DOUBT / days
        return np.minimum((seen + pooled) / (seen_means + POOLED_DAYS), MOST_OF_KIND), variance

    def learn(
        self,
        step: StepCounts,
        expected: Expected,
        rows: Rows,
        settings: DetectorSettings,
        *,
        left_out: Bools,
        left_out_before: Bools,
        suspected: Bools,
        deviation: Floats,
    ) -> None:
        """Learn the step of a week ago, and keep this one for a week, except for flows (f,) that a finding leaves out.

        A day of a kind is learned except for flows that were ``left_out_before`` it: its own findings may show what
        such days are like. Flows that are ``suspected`` are not learned. ``deviation`` (f,) is that of a count from its
        expected number, relative to it.
        """
        position = step.week_step
        self._learn_last_week(position, rows, settings, suspected, deviation)
        keep = ~left_out if step.read and not step.kind else np.zeros_like(left_out)
        self.seen[position] = np.where(keep, step.count, np.nan)
        self.seen_shape[position] = np.where(keep, expected.shape, np.nan)
        self.seen_mean[position] = np.where(left_out | (not step.read), np.nan, expected.mean)
        self.week += np.where(keep, np.stack([self.seen[position], self.seen_shape[position], keep]), 0.0)
        self.most_steps = np.maximum(self.most_steps, self.week[2])
        if step.kind and step.read:
            self._learn_kind(step, expected, rows, settings, left_out_before)

    def _learn_last_week(
        self, position: int, rows: Rows, settings: DetectorSettings, suspected: Bools, deviation: Floats
    ) -> None:
        seen, shape = self.seen[position].astype(np.float64), self.seen_shape[position].astype(np.float64)
        kept = ~np.isnan(seen)
        seen, shape = np.where(kept, seen, 0.0), np.where(kept, shape, 0.0)
        week_count, week_shape, _ = self.week
        known = kept & ~suspected & (week_shape >= settings.day_steps)
        level = np.where(known, week_count / np.maximum(week_shape, 1e-9), 0.0)
        own, levels = self.counts[position].astype(np.float64), self.levels[position].astype(np.float64)
        # An hour that was learned at least twice bounds what a third may add to it.
        usual = level * np.divide(own, levels, out=np.zeros_like(own), where=levels > 0)
        spread = OUTLIER * np.sqrt(usual + (deviation * usual) ** 2) + 1.0
        settled = known & (levels > 1.5 * level)
        count = np.where(settled, np.clip(seen, usual - spread, usual + spread), seen)
        self.counts[position] = np.where(known, WEEK_KEPT * own + count, own)
        self.levels[position] = np.where(known, WEEK_KEPT * levels + level, levels)
        weight = np.where(known, 1.0 / (1.0 + level), 0.0)
        for sums, values in ((self.service_counts, weight * count), (self.service_levels, weight * level)):
            of_service = np.bincount(rows.service, values, sums.shape[1] - 1)
            sums[position] = WEEK_KEPT * sums[position] + np.append(of_service, of_service.sum())
        # The hour's part in the week as known now, because the first week would otherwise be learned without a shape.
        part, _ = self.shape(position, rows)
        for sums, half_life in ((self.fast, FAST_DAYS), (self.slow, SLOW_DAYS)):
            kept_part = np.where(known, 0.5 ** (1.0 / (half_life * settings.day_steps)), 1.0)
            sums[2] = kept_part * (sums[2] + np.where(known, sums[1], 0.0))
            sums[0] = kept_part * sums[0] + np.where(known, count, 0.0)
            sums[1] = kept_part * sums[1] + np.where(known, part, 0.0)
        self.learned += known
        self.week -= np.stack([seen, shape, kept])

    def _learn_kind(
        self, step: StepCounts, expected: Expected, rows: Rows, settings: DetectorSettings, left_out: Bools
    ) -> None:
        factor, _ = self._kind(step, rows, settings)
        known = ~left_out & (self.weeks_learned() >= 1)
        count, mean = np.where(known, step.count, 0.0), np.where(known, expected.mean / np.maximum(factor, 1e-9), 0.0)
        hour = step.week_step % settings.day_steps
        by_service = self.kind_service[step.kind, hour]
        of_service = (by_service[0] + 1.0) / (by_service[1] + 1.0)
        self.kind_flow[step.kind] += np.stack([count, mean * of_service[:-1][rows.service]])
        self.kind_hours[step.kind, hour] += np.stack([count, mean]).astype(np.float32)
        weight = 1.0 / (1.0 + mean)
        for line, values in enumerate((weight * count, weight * mean)):
            sums = np.bincount(rows.service, values, by_service.shape[1] - 1)
            by_service[line] += np.append(sums, sums.sum())
        self.kind_steps[step.kind] += np.where(known, expected.shape, 0.0)

    def leave_out(self, flows: Ints, positions: Ints) -> None:
        """Forget steps of the last week of some flows, by their places in the week, before they are learned."""
        where = np.ix_(positions, flows)
        last = np.stack([self.seen[where], self.seen_shape[where], ~np.isnan(self.seen[where])])
        self.week[:, flows] -= np.nansum(last.astype(np.float64), axis=1)
        self.seen[where] = np.nan
        self.seen_shape[where] = np.nan

    def rescale(self, flows: Ints, ratios: Floats) -> None:
        """Multiply the levels of some flows by ``ratios``."""
        self.fast[0, flows] *= ratios
        self.slow[0, flows] *= ratios

    def recent(self, positions: Ints) -> tuple[Floats, Floats]:
        """Return the exchanges seen and expected of each flow in some steps of the last week, (f,) each."""
        mean = self.seen_mean[positions].astype(np.float64)
        seen = np.where(np.isnan(mean), 0.0, self.seen[positions].astype(np.float64))
        return np.nansum(seen, axis=0), np.nansum(np.where(np.isnan(seen), 0.0, mean), axis=0)
