"""Sobol' indices: the vectors of docs/method.md §9, and exact variances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.indicator.sensitivity.sobol import REPEATS, SAMPLES, SEED, estimate_indices


def _uniform(low: float, width: float) -> Any:
    from scipy.stats import uniform  # noqa: PLC0415  # every worker collects this, and one runs it

    return uniform(low, width)


def test_ishigami() -> None:
    """First and total order of Ishigami's function, a = 7 and b = 0.1, are the vectors of §9 within 4 standard errors."""

    def ishigami(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sin(x[0]) + 7 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0])

    found = estimate_indices(ishigami, [_uniform(-np.pi, 2 * np.pi)] * 3)
    for got, error, wanted in (
        (found.first, found.first_error, (0.3139, 0.4424, 0.0)),
        (found.total, found.total_error, (0.5576, 0.4424, 0.2437)),
    ):
        assert (np.abs(got - wanted) <= 4 * error + 0.00005).all()
        assert (error < 0.005).all()


def test_indices_are_those_of_scipy_to_the_last_bit() -> None:
    """Only the points are kept: everything computed of them is as scipy.stats.sobol_indices computes it."""
    from scipy.stats import sobol_indices  # noqa: PLC0415  # see _uniform

    table = np.random.default_rng(7).normal(size=(3, 2, 4))
    inputs = [_uniform(0, states) for states in table.shape]

    def function(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return table[tuple(x.astype(int))]

    each = [
        sobol_indices(func=function, n=SAMPLES, dists=inputs, rng=np.random.default_rng([SEED, repeat]))
        for repeat in range(REPEATS)
    ]
    for _ in range(2):  # the second time with the points of the first
        found = estimate_indices(function, inputs)
        assert (found.first == np.mean([one.first_order for one in each], axis=0)).all()
        assert (found.total == np.mean([one.total_order for one in each], axis=0)).all()


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 3), min_size=2, max_size=6))
def test_indices_of_a_table_equal_its_exact_variances(seed: int, shape: list[int]) -> None:
    """Sampled indices of a table agree with its analysis of variance over all cells: V(E(Y|i))/V, 1 - V(E(Y|all but i))/V."""
    table = np.random.default_rng(seed).normal(size=shape)
    last = np.array(shape)[:, np.newaxis] - 1
    found = estimate_indices(
        lambda x: table[tuple(np.minimum(x.astype(int), last))], [_uniform(0, states) for states in shape], samples=2048
    )
    for axis in range(len(shape)):
        others = tuple(other for other in range(len(shape)) if other != axis)
        variance = table.var() or 1.0
        first = table.mean(axis=others).var() / variance
        total = (table.var() - table.mean(axis=axis).var()) / variance
        assert found.first[axis] == pytest.approx(first, abs=8 * found.first_error[axis] + 5e-3)
        assert found.total[axis] == pytest.approx(total, abs=8 * found.total_error[axis] + 5e-3)
