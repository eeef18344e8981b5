"""What an index would be if one link were always OK: exact, without scoring everything again (docs/method.md §4-5, §7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Stage
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, group_sums, ratio

__all__ = ["Imputation", "WeighedLinks", "estimate_if_fixed", "lower_if_fixed"]


@dataclass(frozen=True, slots=True)
class WeighedLinks:
    """The links of one set that weigh something in it: positions in the register (k,), ascending, and weights (k,)."""

    links: NDArray[np.int64]
    weight: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Imputation:
    """What unknown links of one window are imputed from, per service (s,): I_s = ``ok`` / ``weight`` (§4).

    ``weight`` Σw over links with a known slot, ``ok`` Σwq over them. G₀ = ``total`` / ``total_weight`` over the services
    that have a known link (§5).
    """

    weight: NDArray[np.float64]
    ok: NDArray[np.float64]
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
    arrays: RegisterArrays, shares: LinkShares, imputation: Imputation, members: WeighedLinks, chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the estimate of a set with one link OK in all its slots in force, for each of the ``chosen`` members.

    ``chosen`` (c,) are positions in ``members``; the result (c,) equals a full scoring of such evidence within 10⁻¹². A
    fixed link is known: it also moves I_s of its service and, with it, G₀, and thereby whatever was imputed from them.
    The set's own estimate must be known.
    """
    services = len(arrays.services)
    known = shares.known[members.links] > 0
    service = arrays.service[members.links]
    own = ratio(imputation.ok, imputation.weight, otherwise=0.0)  # I_s
    guessed = np.bincount(service, weights=np.where(known, 0.0, members.weight), minlength=services)
    by_service = np.where(imputation.weight > 0, guessed, 0.0)
    measured = float((members.weight * np.where(known, shares.share[members.links], 0.0)).sum())
    from_services = float((by_service * own).sum())
    from_government = float(guessed.sum() - by_service.sum())

    # From here on per chosen link, c of them; a dash (primes in the formula) is a name that ends in `_then`.
    link, here, at = members.links[chosen], members.weight[chosen], service[chosen]
    new = ~known[chosen]
    gain = np.where(new, 1.0, 1.0 - np.where(new, 0.0, shares.share[link]))
    weight_then = imputation.weight[at] + np.where(new, arrays.weight[link], 0.0)
    ok_then = imputation.ok[at] + arrays.weight[link] * gain
    own_then = ratio(ok_then, weight_then, otherwise=0.0)
    guessed_then = guessed[at] - np.where(new, here, 0.0)

    # A service that had no known link and now has one joins G₀.
    unheard, heard_then = imputation.weight[at] == 0, weight_then > 0
    total_weight_then = imputation.total_weight + np.where(unheard & heard_then, arrays.service_weight[at], 0.0)
    total_then = imputation.total + np.where(heard_then, arrays.service_weight[at] * (own_then - own[at]), 0.0)
    government_then = ratio(total_then, total_weight_then, otherwise=0.0)

    from_services_then = from_services - by_service[at] * own[at] + np.where(heard_then, guessed_then * own_then, 0.0)
    from_government_then = (
        from_government - np.where(unheard, guessed[at], 0.0) + np.where(heard_then, 0.0, guessed_then)
    )
    share = measured + here * gain + from_services_then + from_government_then * government_then
    estimate: NDArray[np.float64] = np.clip(share / members.weight.sum(), 0.0, 1.0)
    return estimate


def lower_if_fixed(
    shares: LinkShares, members: WeighedLinks, chosen: NDArray[np.int64], lower: float
) -> NDArray[np.float64]:
    """Compute L of a set with one link OK in all its slots in force, for each of the ``chosen`` members (§5).

    ``lower`` is L of the set as it is. Nothing imputed takes part in it, so it is what fixing the link is sure to bring.
    """
    part = members.weight[chosen] / members.weight.sum()
    fixed: NDArray[np.float64] = np.clip(lower + part * (1.0 - shares.lower[members.links[chosen]]), 0.0, 1.0)
    return fixed
