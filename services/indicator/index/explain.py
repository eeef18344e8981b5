"""Why an index is what it is: losses by stage, by provider and by link (docs/method.md §7, loss waterfall)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind, Losses, Stage
from services.indicator.index.what_if import Imputation, WeighedLinks, estimate_if_fixed, lower_if_fixed
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, group_sums, grouping, link_shares, mean_share, ordered_sum

__all__ = ["Explanation", "LinkCost", "LinkCosts", "ProviderLoss", "explain_index", "gather_shares", "largest"]

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


@dataclass(frozen=True, slots=True)
class ProviderLoss:
    """The part of 1 - estimate lost at one provider, over its ``links`` in force within the set explained."""

    provider: str
    loss: float
    losses: Losses
    links: int


@dataclass(frozen=True, slots=True)
class LinkCost:
    """The part of 1 - estimate lost on one link, and what the index would be without that.

    ``point`` is q, None when nothing of the link is known and its share was imputed. ``index_if_fixed`` and
    ``lower_if_fixed`` are the estimate and L with this link, alone, always OK: what everything scored again would give.
    """

    link: str
    loss: float
    losses: Losses
    point: float | None
    known_share: float
    index_if_fixed: float
    lower_if_fixed: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ``estimate`` and where the rest of it went.

    The estimate is the point, publishable or not; None when nothing at all is known, and then nothing is lost anywhere.
    ``losses`` sum to 1 - estimate. Providers come in the order of what is lost at them, links in that of what the estimate
    gains if they alone are fixed, of equals what is lost on them; ties in id order. So no link of the set, fixed alone,
    raises the estimate more than the first.
    """

    estimate: float | None
    losses: Losses
    providers: tuple[ProviderLoss, ...]
    links: tuple[LinkCost, ...]


def gather_shares(
    arrays: RegisterArrays,
    pieces: Iterable[tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]],
    government: NDArray[np.float64] | None = None,
) -> LinkShares:
    """Compute all links' shares from pieces of one window's evidence: each link ids, slots (k,) and counts (6, k).

    Links the register does not know are left out; links in no piece are not in force. The result serves every explanation
    of the window, so keep it while the evidence stays the same. ``government`` is that of ``LinkShares``.
    """
    at = {link: position for position, link in enumerate(arrays.links)}
    slots = np.zeros(len(arrays.links), dtype=np.int64)
    counts = np.zeros((Stage.OK + 1, len(arrays.links)), dtype=np.int64)
    for ids, piece_slots, piece_counts in pieces:
        position = np.array([at.get(link, -1) for link in ids], dtype=np.int64)
        known = position >= 0
        slots[position[known]] = piece_slots[known]
        counts[:, position[known]] = piece_counts[:, known]
    return link_shares(arrays, slots, counts, government)


def explain_index(
    arrays: RegisterArrays,
    shares: LinkShares,
    imputation: Imputation,
    kind: IndicatorKind,
    entity: str,
    *,
    limit: int = 10,
) -> Explanation | None:
    """Explain one indicator; None where ``Costs.of`` knows none.

    At most ``limit`` providers and ``limit`` links are named, those that come first, and none that lost nothing.
    """
    cost = LinkCosts.of(arrays, shares, imputation, kind, entity)
    if cost is None:
        return None
    if np.isnan(cost.estimate):
        return Explanation(estimate=None, losses=Losses(), providers=(), links=())
    members, lost = cost.members, cost.lost
    links = members.links
    lost_by_stage = cost.weight_share * shares.profile[:, links]

    agencies = len(arrays.agencies)
    provider = arrays.provider[links]
    provider_lost, provider_stages = group_sums(provider, lost, agencies), group_sums(provider, lost_by_stage, agencies)
    provider_links = np.bincount(provider, minlength=agencies)
    worst = largest(limit, provider_lost)
    costliest = cost.costliest(limit)
    fixed, costliest = cost.fixed[costliest].tolist(), cost.at[costliest]
    lower_fixed = lower_if_fixed(shares, members, costliest, cost.lower).tolist()
    return Explanation(
        estimate=cost.estimate,
        losses=Losses(*(ordered_sum(row) for row in lost_by_stage)),
        providers=tuple(
            ProviderLoss(
                provider=arrays.agencies[one],
                loss=float(provider_lost[one]),
                losses=Losses(*provider_stages[:, one].tolist()),
                links=int(provider_links[one]),
            )
            for one in worst[provider_lost[worst] > 0].tolist()
        ),
        links=tuple(
            LinkCost(
                link=arrays.links[links[one]],
                loss=float(lost[one]),
                losses=Losses(*lost_by_stage[:, one].tolist()),
                point=float(shares.share[links[one]]) if shares.known[links[one]] else None,
                known_share=float(shares.known_share[links[one]]),
                index_if_fixed=then,
                lower_if_fixed=lower_then,
            )
            for one, then, lower_then in zip(costliest.tolist(), fixed, lower_fixed, strict=True)
        ),
    )
