"""Gathers evidence against "as expected" step by step, as cumulative sums of likelihood ratios (docs/method.md §12.4).

Exchanges are Poisson given the day, and days differ by a gamma factor of mean 1. Each test compares this with the same
times a factor from some step on. It restarts whenever the evidence falls to nothing, because the likeliest step of the
change is then a later one. The sum of likelihood ratios over all steps of change grows by 1 a step on average if
nothing changes. So it takes A steps or more on average to reach A.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np

from services.core.model import FindingKind
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.findings.kinds import (
    DEPARTS,
    GROUP_OF_TEST,
    SIDE_OF_GROUP,
    SIDE_OF_TEST,
    SIDES,
    SILENCE,
    UP_TEST,
)

BURST: Final = 11.5
"""The evidence within one day, in nats (1 in 100,000), that marks the day as one of a burst, or of a dip."""

BURST_RARE: Final = 1e-4
"""The share of days that are marked by chance alone."""

POOLED_DAYS: Final = 20.0
"""The days that the pooled share of all flows counts for."""

NO_CAP: Final = 1e6

_RISE: Final = np.array([SIDES[side].kind is FindingKind.RISE for side in SIDE_OF_GROUP])[:, None]

TAIL: Final = 5.0
"""The evidence within one day at which its tail begins: by chance alone, evidence beyond exceeds it by 1 on average."""

TAIL_KEPT: Final = 0.9
"""The weight that the tail keeps from one day to the next: it is that of the last weeks, by what is known now."""

MOST_EXCESS: Final = 40.0
POOLED_TAIL: Final = 5.0
PRIOR_TAIL: Final = 20.0
"""The most that one day adds to the tail, the exceedances that the pooled tail counts for beside a row's own, and those
that the prior counts for beside the pooled tail.
"""

_STOP: Final = np.flatnonzero(GROUP_OF_TEST == SILENCE)
_LEAST_SPREAD: Final = 1e-9

IMPOSSIBLE: Final = -1e9
"""The logarithm that is used for the factor 0: one exchange ends the evidence of silence."""


class JudgedCounts(NamedTuple):
    """Counts and what is expected of them, all of the same shape.

    ``seen`` counts have the expected ``mean``, and ``allowance`` is the factor by which means may be off. ``size`` is
    that of the gamma factor of days. ``spread`` is the relative variance of steps beyond chance, and ``unsure`` that of
    means.
    """

    seen: Floats
    mean: Floats
    allowance: Floats
    size: Floats
    spread: Floats
    unsure: Floats


@dataclass(slots=True, eq=False)
class ChangeEvidence:
    """The evidence of t tests for a change in r rows, (t, r) each unless stated.

    ``banked`` is the evidence before today, ``today`` what today adds, and ``most_today`` its maximum. ``begun`` is the
    step of the change. Since then ``seen`` counts came instead of ``expected`` ones, which have ``variance``.
    ``day_seen`` and ``day_mean`` are today's sums, ``after_mean`` is today's mean since the change, and
    ``after_changed`` the same by the alternative. ``others`` is the sum of likelihood ratios of all steps of change, as
    a multiple of that of ``begun``.

    ``bursts`` and ``days`` (groups, r) count days. ``tail_excess`` and ``tail_square`` (groups, r) sum the excess of
    their evidence over TAIL, and its square. ``pending`` (3, groups, r) is what days would add to these sums, while
    their evidence has not come to nothing. ``tail`` and ``cap`` (groups, r) follow from these at the end of each day.
    """

    banked: Floats
    today: Floats
    most_today: Floats
    begun: Ints
    seen: Floats
    expected: Floats
    variance: Floats
    day_seen: Floats
    day_mean: Floats
    after_mean: Floats
    after_changed: Floats
    others: Floats
    bursts: Floats
    days: Floats
    tail_excess: Floats
    tail_square: Floats
    pending: Floats
    tail: Floats
    cap: Floats

    @classmethod
    def empty(cls, rows: int) -> ChangeEvidence:
        """Return the state before any count."""
        tests, groups = len(SIDE_OF_TEST), len(SIDE_OF_GROUP)
        names = [one.name for one in fields(cls)]
        arrays: dict[str, Any] = {name: np.zeros((tests, rows)) for name in names}
        arrays["begun"] = np.zeros((tests, rows), np.int64)
        arrays["pending"] = np.zeros((3, groups, rows))
        arrays["tail"], arrays["cap"] = np.ones((groups, rows)), np.full((groups, rows), NO_CAP)
        arrays |= {name: np.zeros((groups, rows)) for name in ("bursts", "days", "tail_excess", "tail_square")}
        return cls(**arrays)

    def total(self) -> Floats:
        """Return the evidence in nats, (t, r)."""
        beyond = np.maximum(self.today - TAIL, 0.0)
        today = np.where(beyond > 0, TAIL + beyond / self.tail[GROUP_OF_TEST], self.today)
        return self.banked + np.minimum(today, self.cap[GROUP_OF_TEST])

    def summed(self) -> Floats:
        """Return the evidence summed over all steps in which the change may have come, in nats, (t, r)."""
        return np.asarray(self.total() + np.log(np.maximum(self.others, 1.0)))

    def _tail(self, alike: Ints) -> Floats:
        """Return the scale of a day's evidence beyond TAIL, at least 1, (groups, r).

        It is half the mean square by the mean, which is 1 for an exponential tail and more for heavier ones.
        """
        excess, squares = (
            _pooled(sums, alike) + PRIOR_TAIL * moment
            for sums, moment in ((self.tail_excess, 1.0), (self.tail_square, 2.0))
        )
        pooled = squares / (2.0 * excess)
        own = (self.tail_square / 2.0 + POOLED_TAIL * pooled**2) / (self.tail_excess + POOLED_TAIL * pooled)
        return np.asarray(np.maximum(own, 1.0))

    def _cap(self, alike: Ints) -> Floats:
        """Return the most that one day may add: evidence that is seen on one day of many proves no more than that."""
        bursts, days = _pooled(self.bursts, alike), _pooled(self.days, alike)
        # A few bursts among all rows may be chance: only what is surely more counts for rows that have none.
        sure = np.maximum(bursts - 2.0 * np.sqrt(bursts) - 2.0, 0.0) / np.maximum(days, 1.0)
        pooled = np.maximum(sure - BURST_RARE, 0.0)
        share = (self.bursts + POOLED_DAYS * pooled) / (self.days + POOLED_DAYS)
        return np.where(share > 0, -np.log(np.where(share > 0, share, 1.0)), NO_CAP)

    def add(self, counts: JudgedCounts, *, factor: Floats, step: int) -> None:
        """Add the counts of a step, (t, r), with the alternatives' ``factor``."""
        count, mean, allowance, size, spread, unsure = counts
        usual = mean * allowance
        weight = 1.0 / (1.0 + usual * (spread + unsure))
        seen, expected = weight * count, weight * usual
        # Tests for less than usual cap hours far above it, so that a burst does not make what follows look like a fall.
        # Tests for more than usual raise hours far below it likewise.
        near = 3.0 * np.sqrt(expected)
        seen = np.where(
            UP_TEST[:, None],
            np.maximum(seen, expected / 2.0 - near),
            np.minimum(seen, far_above(expected)),
        )
        some = (mean > 0) | (count > 0)
        self.others += np.where(some, np.exp(-self.total()), 0.0)
        before = size + self.day_mean
        changed = before - self.after_mean + self.after_changed
        log_factor = np.where(factor > 0, np.log(np.where(factor > 0, factor, 1.0)), IMPOSSIBLE)
        shape = size + self.day_seen
        # The log of the ratio of the two gamma-Poisson probabilities of this count, given today's so far.
        ratio = (changed + factor * expected) / (before + expected)
        self.today += seen * log_factor + shape * np.log(changed / before) - (shape + seen) * np.log(ratio)
        nothing = _of_nothing(usual[_STOP], spread[_STOP], unsure[_STOP])
        self.today[_STOP] += np.where(some[_STOP], nothing - expected[_STOP], 0.0)
        self.most_today = np.maximum(self.most_today, self.today)
        total = self.total()
        ended = (total <= 0.0) & some
        self.others[ended] *= np.exp(total[ended])
        self.seen += count
        self.expected += mean
        self.variance += mean / weight
        self.after_mean += expected
        self.after_changed += factor * expected
        for sums in (self.seen, self.expected, self.variance, self.after_mean, self.after_changed):
            sums[ended] = 0.0
        self.banked[ended] = 0.0
        self.today[ended] = 0.0
        self.begun[ended] = step + 1
        self.day_seen += seen
        self.day_mean += expected

    def end_day(self, known: Bools, judged: Bools, daily: Bools, alike: Ints, kept: float, step: int) -> None:
        """Begin a day with ``step``, after learning from the day that ends.

        Where ``known`` (sides, r), learn whether the day was one of a burst, and reset the evidence unless the day was
        ``judged``, (sides, r). Where rows are judged by whole days, ``daily`` (r,), silence is bounded as falls are. How far
        evidence strays is pooled among rows that are ``alike``, (r,).
        """
        unjudged = ~judged[SIDE_OF_TEST]
        dry = unjudged & known[SIDE_OF_TEST]
        known, judged = known[SIDE_OF_GROUP], judged[SIDE_OF_GROUP]
        most, left = np.zeros(self.bursts.shape), np.zeros(self.bursts.shape)
        np.maximum.at(most, GROUP_OF_TEST, self.most_today)
        self.banked = self.total()
        np.maximum.at(left, GROUP_OF_TEST, self.banked)
        excess = np.clip(most - TAIL, 0.0, MOST_EXCESS)
        burst = (most >= BURST) & (judged | _RISE)
        self.pending += np.where(known, [burst, excess, excess**2], 0.0)
        # A day that may still lead to a finding says nothing of usual days: it is learned once nothing came of it.
        over = known & (left < TAIL)
        for sums, of_day, weight in (
            (self.bursts, self.pending[0], kept),
            (self.days, np.ones_like(most), kept),
            (self.tail_excess, self.pending[1], TAIL_KEPT),
            (self.tail_square, self.pending[2], TAIL_KEPT),
        ):
            sums[:] = np.where(known, weight * sums, sums) + np.where(over, of_day, 0.0)
        self.pending[:, over] = 0.0
        self.tail, self.cap = self._tail(alike), self._cap(alike)
        for bound in (self.tail, self.cap):
            bound[SILENCE] = np.where(daily, bound[SIDE_OF_GROUP[SILENCE]], bound[SILENCE])
        for kept_on in (self.banked, self.others, self.seen, self.expected, self.variance):
            kept_on[dry] = 0.0
        self.begun[unjudged & (self.banked <= 0.0)] = step
        for today in (self.today, self.most_today, self.day_seen, self.day_mean, self.after_mean, self.after_changed):
            today[:] = 0.0

    def forget(self, side: int, rows: Ints, step: int) -> None:
        """Reset the evidence of some rows on one side. A rise stays known as a burst, because such days do happen."""
        tests = np.flatnonzero(side == SIDE_OF_TEST)
        where = np.ix_(tests, rows)
        for one in (
            self.banked,
            self.today,
            self.others,
            *(() if SIDES[side].kind is FindingKind.RISE else (self.most_today,)),
            self.seen,
            self.expected,
            self.variance,
            self.after_mean,
            self.after_changed,
        ):
            one[where] = 0.0
        self.begun[where] = step + 1
        if SIDES[side].kind is not FindingKind.RISE:
            for group in np.flatnonzero(side == SIDE_OF_GROUP).tolist():
                self.pending[:, group, rows] = 0.0

    def found(self, limits: Floats) -> Bools:
        """Return which tests (t, r) found something: the evidence suffices, and the counts since the change depart too.

        On a day that began busier than usual the two may differ.
        """
        departs = np.where(
            UP_TEST[:, None],
            self.seen >= self.expected * DEPARTS[:, None],
            self.seen <= self.expected * DEPARTS[:, None],
        )
        return np.asarray((self.summed() >= limits[:, None]) & departs)

    def strongest(self) -> tuple[Floats, Ints]:
        """Return the most evidence of each side, (sides, r), and the test that has it."""
        total = self.total()
        tests = [np.flatnonzero(side == SIDE_OF_TEST) for side in range(len(SIDES))]
        best = np.stack([of_side[total[of_side].argmax(axis=0)] for of_side in tests])
        return np.take_along_axis(total, best, axis=0), best


def _of_nothing(mean: Floats, spread: Floats, unsure: Floats) -> Floats:
    """Return minus the logarithm of the probability of no exchange, given a gamma factor of variance ``spread``.

    Such a factor is hardly ever so small that nothing is left of many, which weighted counts do not take into account.
    """
    least, spread = mean / (1.0 + mean * unsure), np.maximum(spread, _LEAST_SPREAD)
    return np.asarray(np.log1p(spread * least) / spread)


def far_above(expected: Floats) -> Floats:
    """Return the counts from which a step is a burst, given the ``expected`` counts."""
    return np.asarray(2.0 * expected + 3.0 * np.sqrt(expected) + 3.0)


def _pooled(values: Floats, alike: Ints) -> Floats:
    """Return the sums of values (groups, r) over all rows, or for silence over rows that are alike: (groups, r)."""
    sums = np.repeat(values.sum(axis=1, keepdims=True), values.shape[1], axis=1)
    sums[SILENCE] = np.bincount(alike, values[SILENCE])[alike]
    return np.asarray(sums)
