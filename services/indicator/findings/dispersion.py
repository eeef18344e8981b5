"""Estimates how much counts vary beyond chance: relative variances of hours and of days (docs/method.md §12.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Bools, Floats
from services.indicator.findings.kinds import FAMILY, UP

HALF_LIFE_DAYS: Final = 28.0

ENOUGH: Final = 10.0
"""The expected count that tells half as much about the relative variance as the largest counts do."""

POOLED_STEPS: Final = 48.0
POOLED_DAYS: Final = 10.0
"""The steps and days that the pooled variance of all flows counts for."""

PRIOR: Final = 0.02
PRIOR_WEIGHT: Final = 50.0
"""The relative variance before anything is known, and the days or steps that it counts for among all flows."""

LEAST: Final = 1e-4
MOST: Final = 20.0

_DOWN: Final = np.flatnonzero(~UP)
_WHOLE: Final = np.array([np.flatnonzero(UP & (FAMILY[side] == FAMILY))[0] for side in _DOWN])
"""The sides that look for less, and those of the same families that look for more, whose squares are of all counts."""

OUTLIER_SQUARE: Final = 25.0
"""The most that one count adds, in multiples of the variance so far."""


@dataclass(slots=True, eq=False)
class Dispersion:
    """The relative variances of steps and of days beyond chance.

    ``steps`` and ``days`` (3, sides, rows) are sums of excess variances, sums of their weights, and the usual mean.
    ``pooled_step`` and ``pooled_day`` (sides,) are pooled from all flows.
    """

    steps: Floats
    days: Floats
    pooled_step: Floats
    pooled_day: Floats

    @classmethod
    def empty(cls, rows: int) -> Dispersion:
        """Return the state before any count."""
        sides = len(UP)
        return cls(
            np.zeros((3, sides, rows)),
            np.zeros((3, sides, rows)),
            np.full(sides, PRIOR),
            np.full(sides, PRIOR),
        )

    def of_days(self) -> Floats:
        """Return the relative variance of days, (sides, rows).

        Few days lie below the mean, so the variance of less than usual is at least half of the whole variance.
        """
        days = _shrunk(self.days, self.pooled_day, POOLED_DAYS)
        days[_DOWN] = np.maximum(days[_DOWN], days[_WHOLE] / 2.0)
        return days

    def of_steps(self) -> Floats:
        """Return the relative variance of steps, which includes that of days, (sides, rows)."""
        return _shrunk(self.steps, self.pooled_step, POOLED_STEPS)

    def learn_step(self, count: Floats, mean: Floats, known: Bools, chance: Floats, day_steps: int) -> None:
        """Learn a step from counts and means (sides, rows), where ``known``; ``chance`` is the relative variance of means."""
        kept = 0.5 ** (1.0 / (HALF_LIFE_DAYS * day_steps))
        _learn(self.steps, count, mean, known, self.of_steps(), mean + mean**2 * chance, kept)

    def learn_day(self, count: Floats, mean: Floats, known: Bools, flows: int) -> None:
        """Learn a day likewise, and pool the variances of the first ``flows`` rows."""
        _learn(self.days, count, mean, known, self.of_days(), mean, 0.5 ** (1.0 / HALF_LIFE_DAYS))
        for sums, pooled in ((self.steps, self.pooled_step), (self.days, self.pooled_day)):
            excess, weight = sums[:2, :, :flows].sum(axis=2)
            pooled[:] = np.maximum((excess + PRIOR_WEIGHT * PRIOR) / (weight + PRIOR_WEIGHT), LEAST)


def _shrunk(sums: Floats, pooled: Floats, counts_for: float) -> Floats:
    share = (sums[0] + counts_for * pooled[:, None]) / (sums[1] + counts_for)
    return np.asarray(np.clip(share, LEAST, MOST))


def _learn(
    sums: Floats, count: Floats, mean: Floats, known: Bools, variance: Floats, chance: Floats, kept: float
) -> None:
    """Add (c - m)² of the side in question, less ``chance``, as a share of m², weighted by how much m tells."""
    off = count - mean
    square = np.where(UP[:, None], off**2, 2.0 * np.minimum(off, 0.0) ** 2)
    square = np.minimum(square, OUTLIER_SQUARE * (mean + variance * mean**2))
    some = known & (mean > 0)
    usual = np.where(sums[2] > 0, sums[2], mean)
    weight = np.where(some, mean / (mean + ENOUGH) * np.minimum(mean / np.where(some, usual, 1.0), 1.0), 0.0)
    excess = np.where(some, weight * (square - chance) / np.where(some, mean, 1.0) ** 2, 0.0)
    sums[0] = np.where(known, kept * sums[0] + excess, sums[0])
    sums[1] = np.where(known, kept * sums[1] + weight, sums[1])
    sums[2] = np.where(some, kept * usual + (1.0 - kept) * mean, usual)
