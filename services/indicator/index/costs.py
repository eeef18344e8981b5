"""What each link of a set costs its index, and which cost most (docs/method.md §7)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind
from services.indicator.index.what_if import Imputation, WeighedLinks, estimate_if_fixed
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, grouping, mean_share, ordered_sum

__all__ = ["LinkCosts", "largest"]

_DIGITS = 12
"""Gains and losses that agree in so many decimals are equal: closer than that the formulas are not exact (§5)."""


@dataclass(frozen=True, slots=True, eq=False)
class LinkCosts:
    """What the k links that weigh in a set, its ``members``, cost its index.

    ``estimate`` is NaN when nothing at all is known. ``weight_share`` (k,) is each link's part of the set's weight, ``lost``
    (k,) the part of 1 - estimate lost on it. Of the c that lose anything, ``at`` are the positions among the members,
    ascending, ``fixed`` is the estimate if that link alone were always OK, and ``gain`` what that adds. Who loses nothing
    gains nothing: it is OK as far as is known, or imputed from such.

    A link gains what is lost on it, and more where others are imputed from it: the one link known to fail in a service brings
    more than any of the unmeasured ones, though as much is lost on each of them.
    """

    members: WeighedLinks
    estimate: float
    lower: float
    weight_share: NDArray[np.float64]
    lost: NDArray[np.float64]
    at: NDArray[np.int64]
    fixed: NDArray[np.float64]
    gain: NDArray[np.float64]

    @classmethod
    def of(
        cls, arrays: RegisterArrays, shares: LinkShares, imputation: Imputation, kind: IndicatorKind, entity: str
    ) -> LinkCosts | None:
        """Compute them for one set; None where there is none: N/A, an unknown entity, or an endpoint, no set of links."""
        members = _members(arrays, shares, kind, entity)
        if members is None:
            return None
        everywhere = np.zeros(len(members.links), dtype=np.int64)
        means = mean_share(shares, everywhere, members.weight, 1, links=members.links)
        (estimate,), (lower,) = means.estimate.tolist(), means.lower.tolist()
        weight_share = members.weight / ordered_sum(members.weight)
        lost = weight_share * (1.0 - shares.share[members.links])
        at = np.flatnonzero((lost > 0) & ~np.isnan(estimate))
        fixed = estimate_if_fixed(arrays, shares, imputation, members, at)
        return cls(members, estimate, lower, weight_share, lost, at, fixed, np.maximum(fixed - estimate, 0.0))

    def costliest(self, limit: int | None = None) -> NDArray[np.int64]:
        """Return which of the c come first, all or ``limit``: the largest gain, of equals the largest loss, then id order."""
        return largest(limit, np.round(self.gain, _DIGITS), np.round(self.lost[self.at], _DIGITS))


def _members(arrays: RegisterArrays, shares: LinkShares, kind: IndicatorKind, entity: str) -> WeighedLinks | None:
    """The links that weigh in one entity's index; None when none does, or there is no such entity."""
    if kind is IndicatorKind.ENDPOINT:
        return None
    if (
        kind is IndicatorKind.LINK
    ):  # found by its name: to group all links, each by itself, would cost as much as a government
        at = bisect_left(arrays.links, entity)
        found = at < len(arrays.links) and arrays.links[at] == entity and shares.slots[at] > 0
        return WeighedLinks(np.array([at]), np.ones(1)) if found else None
    ids, group, weight = grouping(arrays, shares, kind)
    at = bisect_left(ids, entity)
    if at == len(ids) or ids[at] != entity:
        return None
    links = np.flatnonzero((group == at) & (weight > 0))
    return WeighedLinks(links, weight[links]) if len(links) else None


def largest(limit: int | None, *keys: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the positions of the largest by the first of ``keys``, of equals by the next, then in order.

    Of millions only as many are sorted as may be among the ``limit``.
    """
    at = np.arange(len(keys[0]))
    if limit is not None and len(at) > limit:
        least = -np.partition(-keys[0], limit - 1)[limit - 1]
        at = np.flatnonzero(keys[0] >= least)
    return at[np.lexsort([-key[at] for key in reversed(keys)])[:limit]]
