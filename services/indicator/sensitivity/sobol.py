"""Sobol' indices, the shares of a result's variance that inputs account for, with their sampling errors. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from services.indicator.array_types import Floats

SAMPLES: Final = 1024
"""Rows of each Saltelli sample; a power of two, as Sobol' sequences require."""

REPEATS: Final = 16
"""Independently scrambled samples, whose standard deviation gives the error."""

SEED: Final = 20260321
"""Published, so that a repeated analysis gives the same digits."""


@dataclass(frozen=True, slots=True, eq=False)
class SobolIndices:
    """First and total order of each of d inputs, (d,), and their standard errors. All 0 where nothing varies."""

    first: Floats
    first_error: Floats
    total: Floats
    total_error: Floats


def estimate_indices(
    function: Callable[[Floats], Floats], inputs: Sequence[Any], *, samples: int = SAMPLES
) -> SobolIndices:
    """Estimate the indices of ``function``, which maps points (d, n) to results (n,).

    ``inputs`` are d independent frozen distributions of scipy.stats. Saltelli samples and estimators are those of
    scipy.stats.sobol_indices, to the last bit: Saltelli et al. 2010, table 2 (b) and (f).
    """
    pairs = [_estimate(function, inputs, points) for points in _points(len(inputs), samples)]
    first, total = (np.array(orders) for orders in zip(*pairs, strict=True))

    def error(orders: Floats) -> Floats:
        return np.asarray(orders.std(axis=0, ddof=1) / np.sqrt(REPEATS))

    return SobolIndices(first.mean(axis=0), error(first), total.mean(axis=0), error(total))


@lru_cache(maxsize=1)
def _points(inputs: int, samples: int) -> tuple[Floats, ...]:
    """Return the points of each repeat in the unit cube, (2, d, n). Drawing them takes longer than all that follows."""
    from scipy.stats.qmc import Sobol  # noqa: PLC0415  # see ranks.py

    engines = (Sobol(2 * inputs, bits=64, rng=np.random.default_rng([SEED, repeat])) for repeat in range(REPEATS))
    return tuple(engine.random(samples).T.reshape(2, inputs, samples) for engine in engines)


def _estimate(function: Callable[[Floats], Floats], inputs: Sequence[Any], points: Floats) -> tuple[Floats, Floats]:
    """Return the indices of first and of total order, each (d,), from the points of one repeat."""
    d, n = points.shape[1:]
    a, b = (np.array([one.ppf(row) for one, row in zip(inputs, rows, strict=True)]) for rows in points)
    mixed = np.repeat(a[..., np.newaxis], d, axis=-1)  # (d, n, d): one input at a time comes from b
    mixed[np.arange(d), :, np.arange(d)] = b
    of_a, of_b, of_mixed = function(a), function(b), function(mixed.reshape(d, n * d)).reshape(n, d).T
    mean = np.mean([of_a, of_b])
    of_a, of_b, of_mixed = of_a - mean, of_b - mean, of_mixed - mean
    if (variance := np.var([of_a, of_b])) == 0:
        return np.zeros(d), np.zeros(d)
    return (of_b * (of_mixed - of_a)).mean(axis=-1) / variance, ((of_a - of_mixed) ** 2).mean(axis=-1) / 2 / variance
