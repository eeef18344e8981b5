"""The cost of each link to the index of a set (docs/method.md §7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.core.model import IndicatorKind
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.index.what_if import Imputation, WeighedLinks, estimate_if_fixed
from services.indicator.register_arrays import position_of
from services.indicator.shares import LinkShares, grouping, mean_share
from services.indicator.sums import ordered_sum

_DIGITS = 12
"""Gains and losses that agree to this many decimals are equal: the formulas are no more exact than that (§5)."""


@dataclass(frozen=True, slots=True, eq=False)
class LinkCosts:
    """The cost to a set's index of each of its ``members``, the k links that weigh anything in it.

    ``estimate`` is NaN when nothing at all is known. ``weight_share`` (k,) is each link's part of the set's weight, ``lost``
    (k,) the part of 1 - estimate lost on it. For the c links that lose anything, ``losing`` are their positions among the
    members, ascending, ``fixed`` the estimate if that link alone were always OK, and ``gain`` the difference. ``seen`` is
    whether any of its slots is known: the gain of others is a guess. Other links gain nothing: they are OK as far as is
    known, or imputed from such links.

    A link gains what is lost on it, and more where others are imputed from it: the one link known to fail in a service
    gains more than the unmeasured ones, though as much is lost on each of them.
    """

    members: WeighedLinks
    estimate: float
    lower: float
    weight_share: Floats
    lost: Floats
    losing: Ints
    fixed: Floats
    gain: Floats
    seen: Bools

    @classmethod
    def of(cls, shares: LinkShares, imputation: Imputation, kind: IndicatorKind, entity: str) -> LinkCosts | None:
        """Compute the costs of one set; None for an entity that is N/A or unknown, and for an endpoint."""
        members = _members(shares, kind, entity)
        if members is None:
            return None
        everywhere = np.zeros(len(members.links), dtype=np.int64)
        means = mean_share(shares, everywhere, members.weight, 1, links=members.links)
        (estimate,), (lower,) = means.estimate.tolist(), means.lower.tolist()
        weight_share = members.weight / ordered_sum(members.weight)
        lost = weight_share * (1.0 - shares.share[members.links])
        losing = np.flatnonzero((lost > 0) & ~np.isnan(estimate))
        fixed = estimate_if_fixed(shares, imputation, members, losing)
        gain, seen = np.maximum(fixed - estimate, 0.0), shares.known_share[members.links[losing]] > 0
        return cls(members, estimate, lower, weight_share, lost, losing, fixed, gain, seen)

    def costliest(self, limit: int | None = None) -> Ints:
        """Rank the c losing links, all or the first ``limit``: seen ones first, then by gain, by loss, and by id."""
        gain = np.round(self.gain, _DIGITS)  # at most 1
        return largest(limit, np.where(self.seen, gain + 2.0, gain), np.round(self.lost[self.losing], _DIGITS))


def _members(shares: LinkShares, kind: IndicatorKind, entity: str) -> WeighedLinks | None:
    """Return the links that weigh anything in one entity's index; None when there are none, or no such entity."""
    if kind is IndicatorKind.ENDPOINT:
        return None
    if kind is IndicatorKind.LINK:  # by name: grouping all links, each by itself, would cost as much as a government
        link = position_of(shares.arrays.links, entity)
        in_force = link is not None and shares.slots[link] > 0
        return WeighedLinks(np.array([link]), np.ones(1)) if in_force else None
    ids, group, weight = grouping(shares, kind)
    position = position_of(ids, entity)
    if position is None:
        return None
    links = np.flatnonzero((group == position) & (weight > 0))
    return WeighedLinks(links, weight[links]) if len(links) else None


def largest(limit: int | None, *keys: Floats) -> Ints:
    """Return the positions of the largest by the first of ``keys``, of equals by the next, then in order.

    Only candidates for the first ``limit`` are sorted, because there may be millions.
    """
    candidates = np.arange(len(keys[0]))
    if limit is not None and len(candidates) > limit:
        least = -np.partition(-keys[0], limit - 1)[limit - 1]
        candidates = np.flatnonzero(keys[0] >= least)
    return candidates[np.lexsort([-key[candidates] for key in reversed(keys)])[:limit]]
