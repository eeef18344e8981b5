"""Bounds of a loss on the odds scale, with gamma quantiles from a table (docs/method.md §6, Bounds)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from scipy.special import gammaincinv

from services.indicator.array_types import Floats, Ints

__all__ = ["LEVEL", "SMALLEST_SHAPE", "LossBounds", "bound_loss", "gamma_ratio"]

LEVEL: Final = 0.95
"""The share of cases in which an interval is meant to hold the truth."""

SMALLEST_SHAPE: Final = 0.03
"""The floor of k: below it a quantile is nearly zero, and its inverse overflows."""

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
    """g(p; k): the quantile at p of a gamma variable of shape k, divided by k; k is floored at SMALLEST_SHAPE.

    From a table in log k of (g - 1)√k, which varies slowly and tends to the normal quantile: the error of g is below
    10⁻⁵, and below 10⁻⁷ where k > 1.
    """
    shape = np.maximum(shape, SMALLEST_SHAPE)
    return np.maximum(0.0, 1.0 + _table(probability).at(np.log(shape)) / np.sqrt(shape))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Values at equal steps, and straight lines between them."""

    grid: Floats
    values: Floats
    slopes: Floats

    def at(self, place: Floats) -> Floats:
        """Return what ``np.interp`` does. It searches for every place; here steps are equal, so each says where it is."""
        grid = self.grid
        place = np.clip(place, grid[0], grid[-1])
        step = ((place - grid[0]) * ((len(grid) - 1) / (grid[-1] - grid[0]))).astype(np.int64)
        step -= place < grid[step]  # rounding may have led one step too far,
        step += place >= self._next(step)  # or not far enough
        found: Floats = self.slopes[step] * (place - grid[step]) + self.values[step]
        return found

    def _next(self, step: Ints) -> Floats:
        return np.append(self.grid[1:], np.inf)[step]


@cache
def _table(probability: float) -> _Table:
    grid = np.linspace(np.log(SMALLEST_SHAPE), np.log(_LARGEST_SHAPE), _POINTS)
    shape = np.exp(grid)
    values = (gammaincinv(shape, probability) / shape - 1.0) * np.sqrt(shape)
    return _Table(grid, values, np.append(np.diff(values) / np.diff(grid), 0.0))


def bound_loss(loss: Floats, variance: Floats, more: Floats, more_square: Floats) -> LossBounds:
    """Bound a loss y ≤ ½ of variance v, if one more outage would add w = ``more``, with second moment ``more_square``.

    Lower odds o·g(.025; o²/v), or 0 if y = 0; upper odds (o + w)·g(.975; (o + w)²/(v + w₂)), where o = y/(1 - y) and v,
    w, w₂ are brought to the scale of odds.
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
    # Without variance the mean is exact; without a mean it does not matter, for the quantile is multiplied by it.
    return np.divide(square, variance, out=np.full_like(square, _LARGEST_SHAPE), where=variance > 0)
