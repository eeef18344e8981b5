"""Sobol' indices, the shares of a result's variance that inputs account for, with their sampling errors. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    scipy.stats.sobol_indices: Saltelli et al. 2010, table 2 (b) and (f).
    """
    from scipy.stats import sobol_indices  # noqa: PLC0415  # see ranks.py

    results = [
        sobol_indices(func=function, n=samples, dists=list(inputs), rng=np.random.default_rng([SEED, repeat]))
        for repeat in range(REPEATS)
    ]
    first, total = (
        np.array([np.atleast_1d(order) for order in orders])
        for orders in ([result.first_order for result in results], [result.total_order for result in results])
    )

    def error(orders: Floats) -> Floats:
        return np.asarray(orders.std(axis=0, ddof=1) / np.sqrt(REPEATS))

    return SobolIndices(first.mean(axis=0), error(first), total.mean(axis=0), error(total))
