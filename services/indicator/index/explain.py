"""The explanation of an index: its losses by stage, provider and link (docs/method.md §7.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.core.model import IndicatorKind, Losses, Stage
from services.indicator.array_types import Ints
from services.indicator.index.link_costs import LinkCosts, largest
from services.indicator.index.what_if import Imputation, lower_if_fixed
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares
from services.indicator.sums import group_sums, ordered_sum


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
    """Compute all links' shares from pieces of one window's evidence: each has link ids, slots (k,) and counts (6, k).

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
    shares: LinkShares, imputation: Imputation, kind: IndicatorKind, entity: str, *, limit: int = 10
) -> Explanation | None:
    """Explain one indicator; None where ``LinkCosts.of`` returns None.

    The result has the first ``limit`` providers and links, without those that lost nothing. Links without a known slot
    come last, since their gains are guesses.
    """
    costs = LinkCosts.of(shares, imputation, kind, entity)
    if costs is None:
        return None
    if np.isnan(costs.estimate):
        return Explanation(estimate=None, losses=Losses(), providers=(), links=())
    arrays, members, lost = shares.arrays, costs.members, costs.lost
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
