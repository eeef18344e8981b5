"""The index if one link were always OK, exact and without scoring everything again (docs/method.md §4-5, §7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.core.model import Stage
from services.indicator.array_types import Floats, Ints
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, group_sums, ratio


@dataclass(frozen=True, slots=True)
class WeighedLinks:
    """The links of one set that weigh anything in it: positions in the register (k,), ascending, and weights (k,)."""

    links: Ints
    weight: Floats


@dataclass(frozen=True, slots=True)
class Imputation:
    """The sums that unknown links of one window are imputed from, per service (s,): I_s = ``ok`` / ``weight`` (§4).

    ``weight`` is Σw over links with a known slot, ``ok`` Σwq over them. G₀ = ``total`` / ``total_weight`` over the
    services with a known link (§5).
    """

    weight: Floats
    ok: Floats
    total: float
    total_weight: float

    @classmethod
    def of(cls, arrays: RegisterArrays, shares: LinkShares) -> Imputation:
        """Sum up one window."""
        services = len(arrays.services)
        weight = np.where(shares.known > 0, arrays.weight, 0.0)
        known = group_sums(arrays.service, weight, services)
        ok = group_sums(arrays.service, weight * ratio(shares.counts[Stage.OK], shares.known, otherwise=0.0), services)
        service_weight = np.where(known > 0, arrays.service_weight, 0.0)
        everywhere = np.zeros(services, dtype=np.int64)
        return cls(
            weight=known,
            ok=ok,
            total=float(group_sums(everywhere, service_weight * ratio(ok, known, otherwise=0.0), 1)[0]),
            total_weight=float(group_sums(everywhere, service_weight, 1)[0]),
        )


def estimate_if_fixed(
    arrays: RegisterArrays, shares: LinkShares, imputation: Imputation, members: WeighedLinks, chosen: Ints
) -> Floats:
    """Compute the estimate of a set with one link OK in all its slots in force, for each of the ``chosen`` members.

    ``chosen`` (c,) are positions in ``members``; the result (c,) equals a full scoring of such evidence within 10⁻¹². A
    fixed link is known, so it also changes I_s of its service, G₀, and everything imputed from them. The set's own
    estimate must be known.
    """
    services = len(arrays.services)
    known = shares.known[members.links] > 0
    service = arrays.service[members.links]
    own = ratio(imputation.ok, imputation.weight, otherwise=0.0)  # I_s
    imputed = np.bincount(service, weights=np.where(known, 0.0, members.weight), minlength=services)
    by_service = np.where(imputation.weight > 0, imputed, 0.0)
    measured = float((members.weight * np.where(known, shares.share[members.links], 0.0)).sum())
    from_services = float((by_service * own).sum())
    from_government = float(imputed.sum() - by_service.sum())

    # From here on per chosen link (c,); values after the fix have names that end in `_then`.
    link, link_weight, own_service = members.links[chosen], members.weight[chosen], service[chosen]
    new = ~known[chosen]
    gain = np.where(new, 1.0, 1.0 - np.where(new, 0.0, shares.share[link]))
    weight_then = imputation.weight[own_service] + np.where(new, arrays.weight[link], 0.0)
    ok_then = imputation.ok[own_service] + arrays.weight[link] * gain
    own_then = ratio(ok_then, weight_then, otherwise=0.0)
    imputed_then = imputed[own_service] - np.where(new, link_weight, 0.0)

    # A service that gets its first known link joins G₀.
    unknown, known_then = imputation.weight[own_service] == 0, weight_then > 0
    total_weight_then = imputation.total_weight + np.where(
        unknown & known_then, arrays.service_weight[own_service], 0.0
    )
    total_then = imputation.total + np.where(
        known_then, arrays.service_weight[own_service] * (own_then - own[own_service]), 0.0
    )
    government_then = ratio(total_then, total_weight_then, otherwise=0.0)

    from_services_then = (
        from_services - by_service[own_service] * own[own_service] + np.where(known_then, imputed_then * own_then, 0.0)
    )
    from_government_then = (
        from_government - np.where(unknown, imputed[own_service], 0.0) + np.where(known_then, 0.0, imputed_then)
    )
    share = measured + link_weight * gain + from_services_then + from_government_then * government_then
    estimate: Floats = np.clip(share / members.weight.sum(), 0.0, 1.0)
    return estimate


def lower_if_fixed(shares: LinkShares, members: WeighedLinks, chosen: Ints, lower: float) -> Floats:
    """Compute L of a set with one link OK in all its slots in force, for each of the ``chosen`` members (§5).

    ``lower`` is the set's present L. L has no imputed part, so this is the certain effect of the fix.
    """
    part = members.weight[chosen] / members.weight.sum()
    fixed: Floats = np.clip(lower + part * (1.0 - shares.lower[members.links[chosen]]), 0.0, 1.0)
    return fixed
