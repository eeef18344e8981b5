"""The explanation of an index: its losses by stage, provider and link (docs/method.md §7, loss waterfall)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.core.model import IndicatorKind, Losses, Stage
from services.indicator.array_types import Floats, Ints
from services.indicator.index.what_if import Imputation, WeighedLinks, estimate_if_fixed, lower_if_fixed
from services.indicator.register_arrays import RegisterArrays, position_of
from services.indicator.shares import LinkShares, grouping, mean_share
from services.indicator.sums import group_sums, ordered_sum

_DIGITS = 12
"""Gains and losses that agree to this many decimals are equal: the formulas are no more exact than that (§5)."""


@dataclass(frozen=True, slots=True, eq=False)
class LinkCosts:
    """The cost to a set's index of each of its ``members``, the k links that weigh anything in it.

    ``estimate`` is NaN when nothing at all is known. ``weight_share`` (k,) is each link's part of the set's weight, ``lost``
    (k,) the part of 1 - estimate lost on it. For the c links that lose anything, ``losing`` are their positions among the
    members, ascending, ``fixed`` the estimate if that link alone were always OK, and ``gain`` the difference. Other links
    gain nothing: they are OK as far as is known, or imputed from such links.

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

    @classmethod
    def of(
        cls, arrays: RegisterArrays, shares: LinkShares, imputation: Imputation, kind: IndicatorKind, entity: str
    ) -> LinkCosts | None:
        """Compute the costs of one set; None for an entity that is N/A or unknown, and for an endpoint."""
        members = _members(arrays, shares, kind, entity)
        if members is None:
            return None
        everywhere = np.zeros(len(members.links), dtype=np.int64)
        means = mean_share(shares, everywhere, members.weight, 1, links=members.links)
        (estimate,), (lower,) = means.estimate.tolist(), means.lower.tolist()
        weight_share = members.weight / ordered_sum(members.weight)
        lost = weight_share * (1.0 - shares.share[members.links])
        losing = np.flatnonzero((lost > 0) & ~np.isnan(estimate))
        fixed = estimate_if_fixed(arrays, shares, imputation, members, losing)
        return cls(members, estimate, lower, weight_share, lost, losing, fixed, np.maximum(fixed - estimate, 0.0))

    def costliest(self, limit: int | None = None) -> Ints:
        """Rank the c losing links, all or the first ``limit``: by largest gain, then largest loss, then id."""
        return largest(limit, np.round(self.gain, _DIGITS), np.round(self.lost[self.losing], _DIGITS))


def _members(arrays: RegisterArrays, shares: LinkShares, kind: IndicatorKind, entity: str) -> WeighedLinks | None:
    """Return the links that weigh anything in one entity's index; None when there are none, or no such entity."""
    if kind is IndicatorKind.ENDPOINT:
        return None
    if kind is IndicatorKind.LINK:  # by name: to group all links, each by itself, would cost as much as a government
        link = position_of(arrays.links, entity)
        in_force = link is not None and shares.slots[link] > 0
        return WeighedLinks(np.array([link]), np.ones(1)) if in_force else None
    ids, group, weight = grouping(arrays, shares, kind)
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


@dataclass(frozen=True, slots=True)
class ProviderLoss:
    """The part of 1 - estimate lost at one provider, over its ``links`` in force within the set explained."""

    provider: str
    loss: float
    losses: Losses
    links: int


@dataclass(frozen=True, slots=True)
class LinkCost:
    """The part of 1 - estimate lost on one link, and the index without that loss.

    ``point`` is q, None where the link was not measured while it was live, so that q was imputed. ``index_if_fixed`` and
    ``lower_if_fixed`` are the estimate and L if this link alone were always OK, as a full scoring would give them.
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
    """The ``estimate`` and the losses that explain its distance from 1.

    The estimate is the point, publishable or not; None when nothing at all is known, and then there are no losses.
    ``losses`` sum to 1 - estimate. Providers are sorted by loss, links by the gain if they alone are fixed, then by loss;
    ties by id. So no link of the set, fixed alone, raises the estimate more than the first.
    """

    estimate: float | None
    losses: Losses
    providers: tuple[ProviderLoss, ...]
    links: tuple[LinkCost, ...]


def gather_shares(
    arrays: RegisterArrays, pieces: Iterable[tuple[Sequence[str], Ints, Ints]], paper: Ints
) -> LinkShares:
    """Compute all links' shares from pieces of one window's evidence: each link ids, slots (k,) and counts (6, k).

    ``paper`` (n,) are each link's slots in force in the window before it was live. Links that are not in the register are
    left out; links in no piece are not in force. The result serves every explanation of the window, so keep it while the
    evidence stays the same.
    """
    positions = {link: position for position, link in enumerate(arrays.links)}
    slots = np.zeros(len(arrays.links), dtype=np.int64)
    counts = np.zeros((Stage.OK + 1, len(arrays.links)), dtype=np.int64)
    for ids, piece_slots, piece_counts in pieces:
        position = np.array([positions.get(link, -1) for link in ids], dtype=np.int64)
        registered = position >= 0
        slots[position[registered]] = piece_slots[registered]
        counts[:, position[registered]] = piece_counts[:, registered]
    # The blocks may be of another register than the one in force.
    return LinkShares.of(arrays, slots, counts, np.minimum(paper, counts[Stage.NOT_CONNECTED]))


def explain_index(
    arrays: RegisterArrays,
    shares: LinkShares,
    imputation: Imputation,
    kind: IndicatorKind,
    entity: str,
    *,
    limit: int = 10,
) -> Explanation | None:
    """Explain one indicator; None where ``LinkCosts.of`` returns None.

    The result has the first ``limit`` providers and links, without those that lost nothing.
    """
    costs = LinkCosts.of(arrays, shares, imputation, kind, entity)
    if costs is None:
        return None
    if np.isnan(costs.estimate):
        return Explanation(estimate=None, losses=Losses(), providers=(), links=())
    members, lost = costs.members, costs.lost
    links = members.links
    lost_by_stage = costs.weight_share * shares.profile[:, links]

    agencies = len(arrays.agencies)
    provider = arrays.provider[links]
    provider_lost, provider_stages = group_sums(provider, lost, agencies), group_sums(provider, lost_by_stage, agencies)
    provider_links = np.bincount(provider, minlength=agencies)
    worst = largest(limit, provider_lost)
    first = costs.costliest(limit)
    fixed, costliest = costs.fixed[first].tolist(), costs.losing[first]
    lower_fixed = lower_if_fixed(shares, members, costliest, costs.lower).tolist()
    return Explanation(
        estimate=costs.estimate,
        losses=Losses(*(ordered_sum(row) for row in lost_by_stage)),
        providers=tuple(
            ProviderLoss(
                provider=arrays.agencies[agency],
                loss=float(provider_lost[agency]),
                losses=Losses(*provider_stages[:, agency].tolist()),
                links=int(provider_links[agency]),
            )
            for agency in worst[provider_lost[worst] > 0].tolist()
        ),
        links=tuple(
            LinkCost(
                link=arrays.links[links[member]],
                loss=float(lost[member]),
                losses=Losses(*lost_by_stage[:, member].tolist()),
                point=None if shares.imputed[links[member]] else float(shares.share[links[member]]),
                known_share=float(shares.known_share[links[member]]),
                index_if_fixed=index,
                lower_if_fixed=lower,
            )
            for member, index, lower in zip(costliest.tolist(), fixed, lower_fixed, strict=True)
        ),
    )
