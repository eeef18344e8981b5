"""Evidence against "as expected", gathered step by step: cumulative sums of likelihood ratios (docs/method.md §12.4).

A day's exchanges are Poisson given the day, and days differ by a gamma factor of mean 1. Each test compares that with the
same times a factor from some step on, and begins anew whenever the evidence falls to nothing. Such a sum stays below the sum over
all moments of change of likelihood ratios, which grows by 1 a step on average; so if nothing changes, it takes A steps or more on
average to reach log A.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.findings.kinds import SIDE_OF_TEST, SIDES

BURST: Final = 11.5
"""Evidence within one day, in nats (1 in 100,000), that marks it as a day of a burst, or of a dip."""

BURST_RARE: Final = 1e-4
"""The share of days that are marked by chance alone."""

POOLED_DAYS: Final = 20.0
"""Days that what all flows show counts for."""

NO_CAP: Final = 1e6

IMPOSSIBLE: Final = -1e9
"""The logarithm of the factor 0, where one exchange ends the evidence of silence."""


@dataclass(slots=True, eq=False)
class Evidence:
    """Of t tests and r rows, (t, r) each. ``banked`` is the evidence before today, ``today`` what today adds, ``most_today`` its
    maximum; ``begun`` the step of the change, after which ``seen`` counts were where ``expected`` ones should be. ``day_seen`` and ``day_mean`` are
    today's, ``after_mean`` today's since the change and ``after_changed`` the same by the alternative. ``bursts`` and ``days``, (sides, r), count days.
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
    bursts: Floats
    days: Floats

    @classmethod
    def empty(cls, rows: int) -> Evidence:
        """Return the state before any count."""
        tests, sides = len(SIDE_OF_TEST), len(SIDES)
        names = [one.name for one in fields(cls)]
        arrays: dict[str, Any] = {name: np.zeros((tests, rows)) for name in names}
        arrays["begun"] = np.zeros((tests, rows), np.int64)
        arrays["bursts"], arrays["days"] = np.zeros((sides, rows)), np.zeros((sides, rows))
        return cls(**arrays)

    def total(self) -> Floats:
        """Return the evidence in nats, (t, r)."""
        return self.banked + np.minimum(self.today, self._cap())

    def _cap(self) -> Floats:
        """Return the most that one day may add: what is seen on one day of so many proves no more than that."""
        flows_bursts, flows_days = self.bursts.sum(axis=1), self.days.sum(axis=1)
        pooled = np.maximum(flows_bursts / np.maximum(flows_days, 1.0) - BURST_RARE, 0.0)[:, None]
        share = (self.bursts + POOLED_DAYS * pooled) / (self.days + POOLED_DAYS)
        cap = np.where(share > 0, -np.log(np.where(share > 0, share, 1.0)), NO_CAP)
        return np.asarray(cap[SIDE_OF_TEST])

    def add(
        self, count: Floats, mean: Floats, allowance: Floats, size: Floats, weight: Floats, *, factor: Floats, step: int
    ) -> None:
        """Add a step, (t, r) each: counts and expected means, the ``allowance`` by which means may be off, the ``size`` of the gamma
        factor of days, the ``weight`` of counts that differ more than by chance, and the alternatives' ``factor``.
        """
        seen, expected = weight * count, weight * mean * allowance
        before = size + self.day_mean
        changed = before - self.after_mean + self.after_changed
        log_factor = np.where(factor > 0, np.log(np.where(factor > 0, factor, 1.0)), IMPOSSIBLE)
        shape = size + self.day_seen
        # The log of the ratio of the two gamma-Poisson chances of this count, given today's so far.
        ratio = (changed + factor * expected) / (before + expected)
        self.today += seen * log_factor + shape * np.log(changed / before) - (shape + seen) * np.log(ratio)
        self.most_today = np.maximum(self.most_today, self.today)
        ended = (self.total() <= 0.0) & ((mean > 0) | (count > 0))
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

    def end_day(self, known: Bools, kept: float) -> None:
        """Begin a day. Of the day that ends, learn for ``known`` (sides, r) whether it was one of a burst."""
        burst = np.zeros(self.bursts.shape)
        np.maximum.at(burst, SIDE_OF_TEST, (self.most_today >= BURST).astype(np.float64))
        self.bursts = np.where(known, kept * self.bursts + burst, self.bursts)
        self.days = np.where(known, kept * self.days + 1.0, self.days)
        self.banked = self.total()
        for today in (self.today, self.most_today, self.day_seen, self.day_mean, self.after_mean, self.after_changed):
            today[:] = 0.0

    def forget(self, side: int, rows: Ints, step: int) -> None:
        """Begin the evidence of some rows anew on one side."""
        tests = np.flatnonzero(side == SIDE_OF_TEST)
        where = np.ix_(tests, rows)
        for one in (
            self.banked,
            self.today,
            self.most_today,
            self.seen,
            self.expected,
            self.variance,
            self.after_mean,
            self.after_changed,
        ):
            one[where] = 0.0
        self.begun[where] = step + 1

    def strongest(self) -> tuple[Floats, Ints]:
        """Return the most evidence of each side, (sides, r), and the test that has it."""
        total = self.total()
        tests = [np.flatnonzero(side == SIDE_OF_TEST) for side in range(len(SIDES))]
        best = np.stack([of_side[total[of_side].argmax(axis=0)] for of_side in tests])
        return np.take_along_axis(total, best, axis=0), best
