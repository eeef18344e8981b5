"""Sums and ratios of arrays, the same whatever else is summed (docs/method.md §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from services.indicator.array_types import Floats, Ints, Numbers


def ratio(above: Numbers, below: Numbers, *, otherwise: float) -> Floats:
    """Divide, with ``otherwise`` where ``below`` is zero."""
    positive = below > 0
    if positive.all():  # the most frequent case, and several times as fast
        return np.asarray(np.divide(above, below), dtype=np.float64)
    result = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise)
    np.divide(above, below, out=result, where=positive)
    return result


def group_sums(group: Ints, values: Numbers, groups: int) -> Floats:
    """Sum values (…, n) by group (n,) into (…, groups): in link-id order, in double precision (§5)."""
    if values.ndim > 1:
        return np.array([group_sums(group, row, groups) for row in values]).reshape(len(values), groups)
    if groups == 1:
        return np.array([ordered_sum(values)])
    # bincount adds term by term; np.sum adds in pairs, so that its last bit depends on how many terms there are.
    return np.asarray(np.bincount(group, weights=values, minlength=groups), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class GroupWeights:
    """Weights (n,) with the ``group`` (n,) of each, and the ``total`` weight of every group (groups,)."""

    group: Ints
    weight: Floats
    total: Floats

    @classmethod
    def of(cls, group: Ints, weight: Floats, groups: int) -> Self:
        """Sum the weights of each group."""
        return cls(group, weight, group_sums(group, weight, groups))

    def sums(self, values: Floats) -> Floats:
        """Sum values (…, n) times their weight by group into (…, groups)."""
        return group_sums(self.group, self.weight * values, len(self.total))

    def means(self, values: Floats, *, otherwise: float = 0.0) -> Floats:
        """Return the weighted means of values (…, n) by group, ``otherwise`` where a group weighs nothing."""
        return ratio(self.sums(values), self.total, otherwise=otherwise)


def ordered_sum(values: Numbers) -> float:
    """Sum all values (n,) like ``group_sums``: term by term, in double precision."""
    partial = np.cumsum(values, dtype=np.float64)  # the last one equals bincount's sum, in less time
    return 0.0 + float(partial[-1]) if len(partial) else 0.0  # turns -0.0 into 0.0, as bincount does
