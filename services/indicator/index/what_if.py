"""Computes the index if one link were always OK, exactly and without scoring all again (docs/method.md §5, §7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.core.model import Stage
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares
from services.indicator.sums import group_sums, ratio


@dataclass(frozen=True, slots=True)
class WeighedLinks:
    """The links of one set that weigh anything in it: positions in the register (k,), ascending, and weights (k,)."""

    links: Ints
    weight: Floats


@dataclass(frozen=True, slots=True)
class Imputation:
    """The sums over measured live links that shares are imputed from (§5).

    They are Σwc and Σwca per service, and Σωc and Σωca per provider and over all.
    """

    service_weight: Floats
    service_ok: Floats
    provider_weight: Floats
    provider_ok: Floats
    weight: float
    ok: float

    @classmethod
    def of(cls, shares: LinkShares) -> Imputation:
        """Sum up one window."""
        answered = ratio(shares.counts[Stage.OK], shares.known - shares.paper, otherwise=0.0)
        services, providers, everything = shares.sources
        of_service, of_provider, of_all = (sources.sums(answered) for sources in shares.sources)
        return cls(
            service_weight=services.total,
            service_ok=of_service,
            provider_weight=providers.total,
            provider_ok=of_provider,
            weight=float(everything.total[0]),
            ok=float(of_all[0]),
        )


@dataclass(frozen=True, slots=True)
class _ImputedParts:
    """The imputed links of a set, as sums of weight·c.

    ``by_service`` sums links whose service has a source. The ``rest`` sums are over the other links: by service, by
    provider, and by both. Pairs of both are numbered service · providers + provider, ascending.
    """

    by_service: Floats
    rest_of_service: Floats
    rest_of_provider: Floats
    pairs: Ints
    rest_of_pair: Floats

    @classmethod
    def of(cls, arrays: RegisterArrays, imputation: Imputation, links: Ints, exposed: Floats) -> _ImputedParts:
        """Sum the ``exposed`` weight (k,) of imputed ``links`` (k,)."""
        services, providers = len(arrays.services), len(arrays.agencies)
        service, provider = arrays.service[links], arrays.provider[links]
        from_service = imputation.service_weight[service] > 0
        rest = np.where(from_service, 0.0, exposed)
        pairs, pair = np.unique(service * providers + provider, return_inverse=True)
        return cls(
            by_service=group_sums(service, np.where(from_service, exposed, 0.0), services),
            rest_of_service=group_sums(service, rest, services),
            rest_of_provider=group_sums(provider, rest, providers),
            pairs=pairs,
            rest_of_pair=group_sums(pair, rest, len(pairs)),
        )

    def of_pairs(self, pairs: Ints) -> Floats:
        """Return the rest of some pairs, 0 for pairs that are not among these."""
        if not len(self.pairs):
            return np.zeros(len(pairs))
        at = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        return np.where(self.pairs[at] == pairs, self.rest_of_pair[at], 0.0)


def estimate_if_fixed(shares: LinkShares, imputation: Imputation, members: WeighedLinks, chosen: Ints) -> Floats:
    """Compute the estimate of a set with one link live and OK in all its slots in force, for each of the ``chosen`` members.

    ``chosen`` (c,) are positions in ``members``; the result (c,) equals a full scoring of such evidence within 10⁻¹². A
    fixed link is measured, so it also changes the means of its service, of its provider and of all, and everything imputed
    from them. The set's own estimate must be known.
    """
    arrays = shares.arrays
    services, providers = len(arrays.services), len(arrays.agencies)
    imputed = shares.imputed[members.links]
    exposed = np.where(imputed, members.weight * shares.connected[members.links], 0.0)
    parts = _ImputedParts.of(arrays, imputation, members.links[imputed], exposed[imputed])
    of_service = ratio(imputation.service_ok, imputation.service_weight, otherwise=0.0)
    of_provider = ratio(imputation.provider_ok, imputation.provider_weight, otherwise=0.0)
    has_provider = imputation.provider_weight > 0
    # When a service gets a source of its own, its rest is no longer imputed from its providers' means or that of all.
    pair_service, pair_provider = np.divmod(parts.pairs, providers)
    known_pair = has_provider[pair_provider]
    leaving = np.bincount(
        pair_service, np.where(known_pair, parts.rest_of_pair * of_provider[pair_provider], 0.0), services
    )
    leaving_all = np.bincount(pair_service, np.where(known_pair, 0.0, parts.rest_of_pair), services)
    measured = float((members.weight * np.where(imputed, 0.0, shares.share[members.links])).sum())
    from_services = float((parts.by_service * of_service).sum())
    from_providers = float((parts.rest_of_provider * of_provider).sum())
    from_all = float(parts.rest_of_provider[~has_provider].sum())

    # From here on, arrays are per chosen link (c,). Names that end in `_then` are of values after the fix.
    link, link_weight, own = members.links[chosen], members.weight[chosen], exposed[chosen]
    service, provider = arrays.service[link], arrays.provider[link]
    counted = np.where(imputed[chosen], 0.0, shares.connected[link])  # the part of its weight in the means so far
    reached = np.where(imputed[chosen], 0.0, shares.share[link])

    def mean_then(ok: Floats | float, weight: Floats | float, of_link: Floats) -> tuple[Floats, Bools]:
        weight_then = weight + of_link * (1.0 - counted)
        return ratio(ok + of_link * (1.0 - reached), weight_then, otherwise=0.0), weight_then > 0

    service_then, _ = mean_then(imputation.service_ok[service], imputation.service_weight[service], arrays.weight[link])
    provider_then, provider_known = mean_then(
        imputation.provider_ok[provider], imputation.provider_weight[provider], shares.omega[link]
    )
    all_then, _ = mean_then(imputation.ok, imputation.weight, shares.omega[link])

    # The rest of the provider's links, without those of the service, which are then imputed from the service.
    staying = parts.rest_of_provider[provider] - parts.of_pairs(service * providers + provider)
    new_provider = provider_known & ~has_provider[provider]
    share = (
        measured
        + link_weight * (1.0 - reached)
        + from_services
        - parts.by_service[service] * of_service[service]
        + (parts.by_service[service] + parts.rest_of_service[service] - own) * service_then
        + from_providers
        - leaving[service]
        + staying * np.where(provider_known, provider_then - of_provider[provider], 0.0)
        + (from_all - leaving_all[service] - np.where(new_provider, staying, 0.0)) * all_then
    )
    estimate: Floats = np.clip(share / members.weight.sum(), 0.0, 1.0)
    return estimate


def lower_if_fixed(shares: LinkShares, members: WeighedLinks, chosen: Ints, lower: float) -> Floats:
    """Compute L of a set with one link OK in all its slots in force, for each of the ``chosen`` members (§5).

    ``lower`` is the set's present L. L has no imputed part, so this is the certain effect of the fix.
    """
    part = members.weight[chosen] / members.weight.sum()
    fixed: Floats = np.clip(lower + part * (1.0 - shares.lower[members.links[chosen]]), 0.0, 1.0)
    return fixed
