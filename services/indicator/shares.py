"""Shares, bounds and losses of links, imputed where nothing is known, and their means over sets (docs/method.md §3-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from services.core.model import IndicatorKind, Stage
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sums import GroupWeights, group_sums, ratio


@dataclass(frozen=True, eq=False)
class LinkShares:
    """The shares of one window's n links in register order; links with ``slots`` = 0 are in no sum.

    ``slots`` are in force, ``paper`` of them before the link was live. ``counts`` (6, n) are the ``known`` slots by
    stage. ``connected`` is c, ``lower`` is n₅ / slots and ``known_share`` is f. ``within`` is w / Σw of the service's
    links in force, 0 when they weigh nothing. ``omega`` is v_s · within.
    """

    arrays: RegisterArrays
    slots: Ints
    paper: Ints
    known: Ints
    counts: Ints
    connected: Floats
    lower: Floats
    known_share: Floats
    within: Floats
    omega: Floats

    @classmethod
    def of(cls, arrays: RegisterArrays, slots: Ints, counts: Ints, paper: Ints) -> Self:
        """Compute shares from the slots of each link: (n,) in force, (6, n) known per stage, (n,) on paper (§3-5)."""
        known = counts.sum(axis=0)
        in_force = slots > 0
        weight = arrays.weight if in_force.all() else np.where(in_force, arrays.weight, 0.0)
        of_service = group_sums(arrays.service, weight, len(arrays.services))
        within = ratio(weight, of_service[arrays.service], otherwise=0.0)
        return cls(
            arrays=arrays,
            slots=slots,
            paper=paper,
            known=known,
            counts=counts,
            connected=ratio(slots - paper, slots, otherwise=0.0),
            lower=ratio(counts[Stage.OK], slots, otherwise=0.0),
            known_share=ratio(known, slots, otherwise=0.0),
            within=within,
            omega=arrays.service_weight[arrays.service] * within,
        )

    @cached_property
    def share(self) -> Floats:
        """q̂ (n,), NaN where there is nothing to impute it from."""
        (share,) = self._reaching(slice(Stage.OK, None), otherwise=np.nan)
        return np.asarray(share)

    @cached_property
    def profile(self) -> Floats:
        """The losses (5, n), which sum to 1 - q̂; where q̂ is NaN, only the loss on paper."""
        losses = self._reaching(slice(Stage.OK), otherwise=0.0)
        losses[0] += ratio(self.paper, self.slots, otherwise=0.0)
        return losses

    @cached_property
    def imputed(self) -> Bools:
        """The links (n,) that were live and never known while live, so that their q̂ is imputed from other links."""
        return np.asarray((self.known == self.paper) & (self.slots > self.paper))

    @cached_property
    def unset(self) -> Bools | None:
        """The links (n,) without even an imputed share, where q̂ is NaN; None when there are none."""
        unset = np.isnan(self.share)
        return unset if unset.any() else None

    def with_imputed(self, link: int, share: float, losses: Sequence[float]) -> Self:
        """Return the same, with q̂ and the ``losses`` (5,) of one link as imputed from links that are not among these."""
        shares, profile = self.share.copy(), self.profile.copy()
        shares[link], profile[:, link] = share, losses
        other = replace(self)
        vars(other).update(share=shares, profile=profile)  # where cached properties keep their values
        return other

    def _reaching(self, stages: slice, *, otherwise: float) -> Floats:
        """Return c·a for some ``stages`` (stages, n), with a the share of the known live slots at each (§3-5).

        Where a link was live and not measured, a is that of the measured links of its service, else of those to its
        provider, else of all; it is ``otherwise`` where there are none. All stages of a link are imputed from the same
        links.
        """
        live = self.known - self.paper
        shares = ratio(self.counts[stages], live[np.newaxis], otherwise=0.0)
        if stages.start is None:
            shares[0] = ratio(self.counts[0] - self.paper, live, otherwise=0.0)
        wanted = np.flatnonzero(self.imputed)
        for sources in self.sources if len(wanted) else ():
            means = sources.means(shares, otherwise=otherwise)
            found = sources.total[sources.group[wanted]] > 0
            shares[:, wanted[found]] = means[:, sources.group[wanted[found]]]
            wanted = wanted[~found]
        shares[:, wanted] = otherwise
        return self.connected * shares

    @cached_property
    def sources(self) -> tuple[GroupWeights, ...]:
        """The measured live links by service, by provider and all together, in the order in which shares are imputed."""
        arrays = self.arrays
        live = np.where(self.known > self.paper, self.connected, 0.0)
        of_service, of_all = arrays.weight * live, self.omega * live
        return (
            GroupWeights.of(arrays.service, of_service, len(arrays.services)),
            GroupWeights.of(arrays.provider, of_all, len(arrays.agencies)),
            GroupWeights.of(np.zeros(len(live), dtype=np.int64), of_all, 1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class GroupMeans:
    """The means of m groups (m,): ``total`` weight Σω, ``estimate`` CII, bounds ``lower`` and ``upper``, and κ."""

    total: Floats
    estimate: Floats
    lower: Floats
    upper: Floats
    known_share: Floats

    def chosen(self, groups: Bools | Ints) -> GroupMeans:
        """Return the means of some groups."""
        columns = (self.total, self.estimate, self.lower, self.upper, self.known_share)
        return GroupMeans(*(column[groups] for column in columns))


ALL_LINKS = slice(None)


def upper_bound(lower: Floats, known_share: Floats) -> Floats:
    """Compute U = L + 1 - κ (§5), so that rounding never puts it above 1 or below L."""
    # κ - L is never negative: no f·q is above its f, and sums of larger terms do not round lower.
    return np.maximum(lower, 1.0 - (known_share - lower))


def mean_share(
    shares: LinkShares, group: Ints, weight: Floats, groups: int, *, links: Ints | slice = ALL_LINKS
) -> GroupMeans:
    """Compute CII = Σωq̂/Σω, L = Σω(n₅/n)/Σω, U = L + 1 - κ and κ = Σωf/Σω of each group (§5).

    ``group`` and ``weight`` are those of the ``links``, positions in the register. CII is NaN where nothing at all is known or
    nothing weighs; then L = 0 and U = 1. Rounding never breaks 0 ≤ L ≤ CII ≤ U ≤ 1.
    """
    weights = GroupWeights.of(group, weight, groups)
    lower, known_share = weights.means(shares.lower[links]), weights.means(shares.known_share[links])
    upper = upper_bound(lower, known_share)
    share = shares.share[links]
    none = weights.total == 0
    if shares.unset is not None:
        unset = shares.unset[links]
        none |= group_sums(group, (weight > 0) & unset, groups) > 0
        share = np.where(unset, 0.0, share)
    estimate = np.where(none, np.nan, np.clip(weights.means(share), lower, upper))
    return GroupMeans(weights.total, estimate, lower, upper, known_share)


def link_means(shares: LinkShares) -> GroupMeans:
    """Compute the means of ``mean_share`` for every link by itself."""
    in_force = shares.slots > 0
    upper = upper_bound(shares.lower, shares.known_share)
    estimate = np.where(in_force, np.clip(shares.share, shares.lower, upper), np.nan)
    return GroupMeans(in_force.astype(np.float64), estimate, shares.lower, upper, shares.known_share)


def grouping(shares: LinkShares, kind: IndicatorKind) -> tuple[tuple[str, ...], Ints, Floats]:
    """Return a kind's entities, the entity of each link, and the link's weight in it (§5).

    The weight is ω. Within a service v_s cancels and is left out, and a link by itself weighs 1. So a service or link
    without weight in the government has an index of its own. Raises ValueError for endpoints.
    """
    ids, group = shares.arrays.sets_of(kind)
    if kind is IndicatorKind.SERVICE:
        return ids, group, shares.within
    return ids, group, (shares.slots > 0).astype(np.float64) if kind is IndicatorKind.LINK else shares.omega
