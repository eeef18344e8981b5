"""Causes put together for sets of links: a service's, an agency's, a sector's, the government's (docs/method.md §6, Set X)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from services.indicator.array_types import Floats, Ints
from services.indicator.intervals.loss_bounds import LossBounds
from services.indicator.intervals.outages import OutageTotals
from services.indicator.intervals.recipe import (
    LossMoments,
    OutageLengths,
    bound_bus,
    bound_sets,
    cause_moments,
    estimate_lengths,
    mirrored_losses,
    pool_causes,
)
from services.indicator.shares import group_sums, ratio

__all__ = ["ClassEstimates", "CommonModeGuard", "LinkSets", "WindowCauses", "bound_groups", "bound_links"]

GUARDED_SETS: Final = 512
"""Sets of which the days are looked at together."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassEstimates:
    """What a record says of all causes, for every window that looks back on it."""

    providers: OutageLengths
    own: OutageLengths
    bus: OutageTotals

    @classmethod
    def of(cls, record: OutageTotals, agencies: int) -> ClassEstimates:
        """Learn from a record, in the order bus, agencies, links."""
        providers, own = record.part(slice(1, 1 + agencies)), record.part(slice(1 + agencies, None))
        return cls(
            estimate_lengths(providers, pool_causes(providers)),
            estimate_lengths(own, pool_causes(own)),
            record.part(slice(1)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class WindowCauses:
    """What one window shows of all causes: ``providers`` (agencies,), links' ``own`` faults (n,), and the ``bus``."""

    providers: LossMoments
    own: LossMoments
    bus: LossBounds

    @classmethod
    def of(cls, window: OutageTotals, learnt: ClassEstimates) -> WindowCauses:
        """Spread the causes of a window, in the order bus, agencies, links.

        A bus of which nothing is known loses nothing and adds no margin.
        """
        first = 1 + len(learnt.providers.mean)
        return cls(
            providers=cause_moments(window.part(slice(1, first)), learnt.providers),
            own=cause_moments(window.part(slice(first, None)), learnt.own),
            bus=bound_bus(window.part(slice(1)), learnt.bus),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinkSets:
    """Sets that each of n links belongs to one of, and the m pairs of a set and a provider that links fall into.

    ``group`` and ``pair`` (n,) of each link; ``pair_group`` and ``pair_provider`` (m,) of each pair.
    """

    size: int
    group: Ints
    pair: Ints
    pair_group: Ints
    pair_provider: Ints

    @classmethod
    def of(cls, group: Ints, size: int, provider: Ints) -> LinkSets:
        """Find the pairs of links with these sets, of which there are ``size``, and these providers."""
        providers = int(provider.max(initial=0)) + 1
        pairs, pair = np.unique(group * providers + provider, return_inverse=True)
        pair_group, pair_provider = np.divmod(pairs, providers)
        return cls(size, group, pair, pair_group, pair_provider)


def bound_links(causes: WindowCauses, provider: Ints, loss: Floats) -> LossBounds:
    """Bound each link's bus-free ``loss`` (n,), as an aggregate of its ``provider`` (n,) and its own faults."""
    providers, own = causes.providers, causes.own
    less, less_square = np.zeros_like(loss), np.zeros_like(loss)
    mirrored = mirrored_losses(loss)
    failing = provider[mirrored]
    less[mirrored] = np.maximum(providers.less[failing], own.less[mirrored])
    less_square[mirrored] = np.maximum(providers.less_square[failing], own.less_square[mirrored])
    of = LossMoments(
        loss=loss,
        variance=providers.variance[provider] + own.variance,
        more=np.maximum(providers.more[provider], own.more),
        more_square=np.maximum(providers.more_square[provider], own.more_square),
        less=less,
        less_square=less_square,
    )
    return bound_sets(of)


def bound_groups(
    sets: LinkSets, weight: Floats, loss: Floats, causes: WindowCauses, guard: CommonModeGuard
) -> LossBounds:
    """Bound the bus-free loss of each set: y = Σωy/Σω, v = ΣW_c²·v_c, w = max W_c·a_c, w₂ = max W_c²·b_c.

    ``weight`` and ``loss`` (n,) are each link's ω and bus-free loss; W_c is the share of ω that depends on cause c. None
    of v, w and w₂ is below the ``guard``'s. Zero throughout where nothing weighs.
    """
    providers, own = causes.providers, causes.own
    share = ratio(weight, group_sums(sets.group, weight, sets.size)[sets.group], otherwise=0.0)
    of_pair = group_sums(sets.pair, share, len(sets.pair_group))
    square, square_of_pair = share**2, of_pair**2

    provider = sets.pair_provider

    def largest(of_pairs: Floats, of_links: Floats) -> Floats:
        found = np.zeros(sets.size)
        np.maximum.at(found, sets.pair_group, of_pairs)
        np.maximum.at(found, sets.group, of_links)
        return found

    variance = group_sums(sets.pair_group, square_of_pair * providers.variance[provider], sets.size)
    variance += group_sums(sets.group, square * own.variance, sets.size)
    of_sets = np.minimum(1.0, group_sums(sets.group, share * loss, sets.size))
    less = less_square = np.zeros(sets.size)
    if len(mirrored_losses(of_sets)):
        less = largest(of_pair * providers.less[provider], share * own.less)
        less_square = largest(square_of_pair * providers.less_square[provider], square * own.less_square)
    of = LossMoments(
        loss=of_sets,
        variance=np.maximum(variance, guard.variance),
        more=np.maximum(largest(of_pair * providers.more[provider], share * own.more), guard.more),
        more_square=np.maximum(
            largest(square_of_pair * providers.more_square[provider], square * own.more_square), guard.more_square
        ),
        less=less,
        less_square=less_square,
    )
    return bound_sets(of)


@dataclass(frozen=True, slots=True, eq=False)
class CommonModeGuard:
    """What fails together in sets without a common cause known, as days show it, (sets,) each.

    ``variance`` of the mean loss over some days; what one ``more`` bad day would add to it, and its ``more_square``.
    """

    variance: Floats
    more: Floats
    more_square: Floats

    @classmethod
    def of(cls, daily: Sequence[Floats]) -> CommonModeGuard:
        """Guard a window of one day by the ``daily`` bus-free losses of its record, (sets,) for each day.

        The variance is γ₀ + 2·max(γ₁, 0), with γ₀ the variance and γ₁ the lag-1 autocovariance of a day's loss.
        A bad day is one drawn by how much worse than the mean it is. Days of which nothing is known (NaN) are left out;
        with fewer than two there is no guard.
        """
        # A few sets at a time, so that all their days fit the processor's cache.
        edges = np.linspace(0, len(daily[0]), max(1, len(daily[0]) // GUARDED_SETS) + 1).astype(np.int64).tolist()
        parts = [cls._of_some(np.array([day[start:end] for day in daily])) for start, end in pairwise(edges)]
        return cls(*(np.concatenate(some) for some in zip(*parts, strict=True)))

    @staticmethod
    def _of_some(daily: Floats) -> tuple[Floats, ...]:
        known = ~np.isnan(daily)
        count = known.sum(axis=0)
        mean = ratio(np.where(known, daily, 0.0).sum(axis=0), count, otherwise=0.0)
        apart = np.where(known, daily - mean, 0.0)
        variance = ratio((apart**2).sum(axis=0), count - 1, otherwise=0.0)
        lagged = ratio((apart[1:] * apart[:-1]).sum(axis=0), (known[1:] & known[:-1]).sum(axis=0), otherwise=0.0)
        above = np.where(count > 1, np.maximum(apart, 0.0), 0.0)
        square = above**2
        first, second, fourth = above.sum(axis=0), square.sum(axis=0), (square**2).sum(axis=0)
        more = ratio(second, first, otherwise=0.0)
        # A few bad days say little of how bad they are: as much as so many draws of one size.
        few = 1.0 + ratio(fourth, second**2, otherwise=0.0)
        return few * (variance + 2.0 * np.maximum(lagged, 0.0)), more, 2.0 * more**2

    def over(self, days: float) -> CommonModeGuard:
        """Guard a window of so many days by the same record."""
        return CommonModeGuard(self.variance / days, self.more / days, self.more_square / days**2)
