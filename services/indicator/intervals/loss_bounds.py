"""Bounds of a loss on the odds scale, with gamma quantiles from a table (docs/method.md §6.8)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from services.indicator.array_types import Floats, Ints
from services.indicator.scipy_parts import gammaincinv

LEVEL: Final = 0.95
"""The share of cases in which an interval should contain the truth."""

SMALLEST_SHAPE: Final = 0.03
"""The least k: below it a quantile is nearly zero, and its inverse overflows."""

_LARGEST_SHAPE: Final = 1e8
_POINTS: Final = 4000
_LOW, _HIGH = (1 - LEVEL) / 2, (1 + LEVEL) / 2


@dataclass(frozen=True, slots=True, eq=False)
class LossBounds:
    """An estimated loss with its bounds, low ≤ loss ≤ high, shares in [0, 1], (m,) each."""

    loss: Floats
    low: Floats
    high: Floats


def gamma_ratio(probability: float, shape: Floats) -> Floats:
    """Return g(p; k), the p-quantile of a gamma variable of shape k, divided by k; k is at least SMALLEST_SHAPE.

    It comes from a table in log k of (g - 1)√k, which varies slowly and tends to the normal quantile: the error of g is
    below 10⁻⁵, and below 10⁻⁷ where k > 1.
    """
    shape = np.maximum(shape, SMALLEST_SHAPE)
    return np.maximum(0.0, 1.0 + _table(probability).at(np.log(shape)) / np.sqrt(shape))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A function as values at equal steps, interpolated linearly."""

    grid: Floats
    values: Floats
    slopes: Floats

    def at(self, x: Floats) -> Floats:
        """Return the same as ``np.interp``, which would search the grid; here equal steps give the position directly."""
        grid = self.grid
        x = np.clip(x, grid[0], grid[-1])
        step = ((x - grid[0]) * ((len(grid) - 1) / (grid[-1] - grid[0]))).astype(np.int64)
        step -= x < grid[step]  # rounding may have gone one step too far,
        step += x >= self._next(step)  # or not far enough
        value: Floats = self.slopes[step] * (x - grid[step]) + self.values[step]
        return value

    def _next(self, step: Ints) -> Floats:
        return np.append(self.grid[1:], np.inf)[step]


@cache
def _table(probability: float) -> _Table:
    grid = np.linspace(np.log(SMALLEST_SHAPE), np.log(_LARGEST_SHAPE), _POINTS)
    shape = np.exp(grid)
    values = (gammaincinv(shape, probability) / shape - 1.0) * np.sqrt(shape)
    return _Table(grid, values, np.append(np.diff(values) / np.diff(grid), 0.0))


def bound_loss(loss: Floats, variance: Floats, more: Floats, more_square: Floats) -> LossBounds:
    """Bound a loss y ≤ ½ of this variance; one more outage adds a = ``more``, with second moment b = ``more_square``.

    Lower odds are o·g(.025; o²/σ²), or 0 if y = 0; upper odds (o + a)·g(.975; (o + a)²/(σ² + b)), where o = y/(1 - y) and
    σ², a and b are on the scale of odds.
    """
    up = 1.0 - loss
    fourth = up**4
    odds, variance, more, more_square = loss / up, variance / fourth, more / up**2, more_square / fourth
    raised = odds + more
    low = odds * gamma_ratio(_LOW, _shape(odds, variance))
    high = raised * gamma_ratio(_HIGH, _shape(raised, variance + more_square))
    return LossBounds(loss, np.minimum(loss, low / (1.0 + low)), np.maximum(loss, high / (1.0 + high)))


def _shape(mean: Floats, variance: Floats) -> Floats:
    square = mean**2
    # Without variance the mean is exact; a mean of zero is multiplied by the quantile, whose value then does not matter.
    return np.divide(square, variance, out=np.full_like(square, _LARGEST_SHAPE), where=variance > 0)
