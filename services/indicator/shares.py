"""Shares, weights and loss profiles of links, imputed where nothing is known (INDICATOR.md §3-5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import Kind
from services.core.outcome import Stage
from services.indicator.frame import Frame

__all__ = ["LinkShares", "grouping", "link_shares", "mean_share", "ratio", "sums", "upper_bound"]


@dataclass(frozen=True, slots=True)
class LinkShares:
    """One window's links in frame order, n of them; those with ``slots`` = 0 are out of every sum.

    ``known`` slots, ``counts`` (6, n); ``lower`` = f·q and ``known_share`` = f; ``share`` = q̂ (NaN when nothing at all
    is known); ``profile`` (5, n) losses that sum to 1 - q̂ (0 where q̂ is NaN); ``within`` = w / Σw of the service's
    links in force (0 when they weigh nothing); ``omega`` = v_s · within.
    """

    slots: NDArray[np.int64]
    known: NDArray[np.int64]
    counts: NDArray[np.int64]
    lower: NDArray[np.float64]
    known_share: NDArray[np.float64]
    share: NDArray[np.float64]
    profile: NDArray[np.float64]
    within: NDArray[np.float64]
    omega: NDArray[np.float64]


def ratio(above: NDArray[Any], below: NDArray[Any], *, otherwise: float) -> NDArray[np.float64]:
    """Divide, with ``otherwise`` where ``below`` is zero."""
    result = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise)
    np.divide(above, below, out=result, where=below > 0)
    return result


def sums(group: NDArray[np.int64], values: NDArray[Any], groups: int) -> NDArray[np.float64]:
    """Sum values (…, n) by group (n,) into (…, groups): in link-id order, in double precision (§5)."""
    if values.ndim > 1:
        return np.array([sums(group, row, groups) for row in values]).reshape(len(values), groups)
    # bincount adds one after another; np.sum adds in pairs, and then the last bit depends on how many there are.
    return np.asarray(np.bincount(group, weights=values, minlength=groups), dtype=np.float64)


def link_shares(frame: Frame, slots: NDArray[np.int64], counts: NDArray[np.int64]) -> LinkShares:
    """Compute q, f, ω and q̂ of every link: q where known, else I_s of its service, else G₀ (§4-5).

    ``slots`` (n,) in force and ``counts`` (6, n) known per stage. Stage shares are imputed as a whole, so an imputed
    link loses where the links lose that it is imputed from. Links that weigh nothing take part in no I_s; a service
    that weighs nothing takes no part in G₀.
    """
    services = len(frame.services)
    known = counts.sum(axis=0)
    weight = np.where(slots > 0, frame.weight, 0.0)
    within = ratio(weight, sums(frame.service, weight, services)[frame.service], otherwise=0.0)

    stages = ratio(counts, known[np.newaxis], otherwise=0.0)
    known_weight = np.where(known > 0, weight, 0.0)
    of_service = sums(frame.service, known_weight, services)
    service_stages = ratio(sums(frame.service, known_weight * stages, services), of_service[np.newaxis], otherwise=0.0)
    everywhere = np.zeros(services, dtype=np.int64)
    service_weight = np.where(of_service > 0, frame.service_weight, 0.0)
    of_government = sums(everywhere, service_weight, 1)
    stages_of_government = ratio(sums(everywhere, service_weight * service_stages, 1), of_government, otherwise=0.0)

    from_service = (known == 0) & (of_service[frame.service] > 0)
    from_government = (known == 0) & ~from_service
    stages = np.where(from_service, service_stages[:, frame.service], stages)
    stages = np.where(from_government, stages_of_government, stages)
    nothing = from_government & (of_government[0] == 0)
    return LinkShares(
        slots=slots,
        known=known,
        counts=counts,
        lower=ratio(counts[Stage.OK], slots, otherwise=0.0),
        known_share=ratio(known, slots, otherwise=0.0),
        share=np.where(nothing, np.nan, stages[Stage.OK]),
        profile=stages[: Stage.OK],
        within=within,
        omega=frame.service_weight[frame.service] * within,
    )


def upper_bound(lower: NDArray[np.float64], known_share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute U = L + 1 - κ (§5), so that rounding never lifts it above 1 or leaves it below L."""
    # κ - L is never negative: no f·q is above its f, and sums of larger terms round no lower.
    return np.maximum(lower, 1.0 - (known_share - lower))


def mean_share(
    shares: LinkShares, links: NDArray[np.int64], group: NDArray[np.int64], weight: NDArray[np.float64], groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute CII = Σωq̂/Σω, L = Σωfq/Σω, U = L + 1 - κ and κ = Σωf/Σω of each group (§5), each (groups,).

    ``links`` are positions; ``group`` and ``weight`` are theirs. CII is NaN where nothing at all is known or nothing
    weighs; then L = 0 and U = 1. Rounding never breaks 0 ≤ L ≤ CII ≤ U ≤ 1.
    """
    total = sums(group, weight, groups)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return ratio(sums(group, weight * values[links], groups), total, otherwise=0.0)

    lower, known_share = mean(shares.lower), mean(shares.known_share)
    upper = upper_bound(lower, known_share)
    nothing = sums(group, (weight > 0) & np.isnan(shares.share[links]), groups) > 0
    estimate = np.clip(mean(np.nan_to_num(shares.share)), lower, upper)
    return np.where(nothing | (total == 0), np.nan, estimate), lower, upper, known_share


def grouping(
    frame: Frame, shares: LinkShares, kind: Kind
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float64]]:
    """Return a kind's entities, which of them each link belongs to, and what it weighs there (§5).

    The weight is ω; within a service v_s cancels and is left out, and a link alone weighs 1: a service or link that
    weighs nothing in the government still has an index of its own. Raises ValueError for endpoints.
    """
    match kind:
        case Kind.GOVERNMENT:
            return (frame.government,), np.zeros(len(frame.links), dtype=np.int64), shares.omega
        case Kind.SECTOR:
            return frame.sectors, frame.sector, shares.omega
        case Kind.CONSUMER:
            return frame.agencies, frame.consumer, shares.omega
        case Kind.PROVIDER:
            return frame.agencies, frame.provider, shares.omega
        case Kind.SERVICE:
            return frame.services, frame.service, shares.within
        case Kind.LINK:
            return frame.links, np.arange(len(frame.links)), (shares.slots > 0).astype(np.float64)
        case Kind.ENDPOINT:
            raise ValueError("an endpoint is no part of the index, so it groups no links")
