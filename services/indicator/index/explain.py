"""Why an index is what it is: losses by stage, by provider and by link (docs/method.md §7, loss waterfall)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind, Losses, Stage
from services.indicator.index.costs import LinkCosts, largest
from services.indicator.index.what_if import Imputation, lower_if_fixed
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, group_sums, link_shares, ordered_sum

__all__ = ["Explanation", "LinkCost", "ProviderLoss", "explain_index", "gather_shares"]


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
