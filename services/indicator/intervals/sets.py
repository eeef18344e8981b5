"""Causes combined over sets of links: a service's, an agency's, a sector's, the government's (docs/method.md §6.6-6.7)."""

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
from services.indicator.sums import group_sums, ratio

GUARDED_SETS: Final = 512
"""Sets whose days are processed together."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassEstimates:
    """Estimates from a record, shared by every window within it: both classes of causes, and the bus."""

    providers: OutageLengths
    own: OutageLengths
    bus: OutageTotals

    @classmethod
    def of(cls, record: OutageTotals, agencies: int) -> ClassEstimates:
        """Estimate from a record. Its causes are in the order bus, agencies, links."""
        providers, own = record.part(slice(1, 1 + agencies)), record.part(slice(1 + agencies, None))
        of_providers, of_own = (estimate_lengths(causes, pool_causes(causes)) for causes in (providers, own))
        return cls(of_providers, of_own, record.part(slice(1)))


@dataclass(frozen=True, slots=True, eq=False)
class WindowCauses:
    """The losses of one window's causes: ``providers`` (agencies,), links' ``own`` faults (n,), and the ``bus``."""

    providers: LossMoments
    own: LossMoments
    bus: LossBounds

    @classmethod
    def of(cls, window: OutageTotals, estimates: ClassEstimates) -> WindowCauses:
        """Compute the losses of a window's causes, in the order bus, agencies, links.

        Without evidence about the bus, it has no loss and adds no margin.
        """
        first = 1 + len(estimates.providers.mean)
        return cls(
            providers=cause_moments(window.part(slice(1, first)), estimates.providers),
            own=cause_moments(window.part(slice(first, None)), estimates.own),
            bus=bound_bus(window.part(slice(1)), estimates.bus),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinkSets:
    """A partition of n links into ``size`` sets, and the m distinct pairs of a link's set and provider.

    ``group`` and ``pair`` (n,) are the positions of each link's set and pair; ``pair_group`` and ``pair_provider`` (m,)
    are each pair's set and provider.
    """

    size: int
    group: Ints
    pair: Ints
    pair_group: Ints
    pair_provider: Ints

    @classmethod
    def of(cls, group: Ints, size: int, provider: Ints) -> LinkSets:
        """Find the pairs, given the set and provider (n,) of each link and the number of sets."""
        providers = int(provider.max(initial=0)) + 1
        pairs, pair = np.unique(group * providers + provider, return_inverse=True)
        pair_group, pair_provider = np.divmod(pairs, providers)
        return cls(size, group, pair, pair_group, pair_provider)


def bound_links(causes: WindowCauses, provider: Ints, loss: Floats) -> LossBounds:
    """Bound each link's ``loss`` (n,) without the bus. A link is a set with two causes: its ``provider`` (n,) and itself."""
    providers, own = causes.providers, causes.own
    less, less_square = np.zeros_like(loss), np.zeros_like(loss)
    mirrored = mirrored_losses(loss)
    failing = provider[mirrored]
    less[mirrored] = np.maximum(providers.less[failing], own.less[mirrored])
    less_square[mirrored] = np.maximum(providers.less_square[failing], own.less_square[mirrored])
    moments = LossMoments(
        loss=loss,
        variance=providers.variance[provider] + own.variance,
        more=np.maximum(providers.more[provider], own.more),
        more_square=np.maximum(providers.more_square[provider], own.more_square),
        less=less,
        less_square=less_square,
    )
    return bound_sets(moments)


def bound_groups(
    sets: LinkSets, weight: Floats, loss: Floats, causes: WindowCauses, guard: CommonModeGuard
) -> LossBounds:
    """Bound the loss of each set without the bus: y = Σωy/Σω, variance ΣW_c²·σ²_c, a = max W_c·a_c, b = max W_c²·b_c.

    ``weight`` and ``loss`` (n,) are each link's ω and loss without the bus; W_c is the share of ω that depends on cause c.
    The ``guard`` sets a minimum for σ², a and b. A set without weight gets zeros.
    """
    providers, own = causes.providers, causes.own
    share = ratio(weight, group_sums(sets.group, weight, sets.size)[sets.group], otherwise=0.0)
    of_pair = group_sums(sets.pair, share, len(sets.pair_group))
    square, square_of_pair = share**2, of_pair**2

    provider = sets.pair_provider

    def largest(of_pairs: Floats, of_links: Floats) -> Floats:
        maxima = np.zeros(sets.size)
        np.maximum.at(maxima, sets.pair_group, of_pairs)
        np.maximum.at(maxima, sets.group, of_links)
        return maxima

    variance = group_sums(sets.pair_group, square_of_pair * providers.variance[provider], sets.size)
    variance += group_sums(sets.group, square * own.variance, sets.size)
    of_sets = np.minimum(1.0, group_sums(sets.group, share * loss, sets.size))
    less = less_square = np.zeros(sets.size)
    if len(mirrored_losses(of_sets)):
        less = largest(of_pair * providers.less[provider], share * own.less)
        less_square = largest(square_of_pair * providers.less_square[provider], square * own.less_square)
    moments = LossMoments(
        loss=of_sets,
        variance=np.maximum(variance, guard.variance),
        more=np.maximum(largest(of_pair * providers.more[provider], share * own.more), guard.more),
        more_square=np.maximum(
            largest(square_of_pair * providers.more_square[provider], square * own.more_square), guard.more_square
        ),
        less=less,
        less_square=less_square,
    )
    return bound_sets(moments)


@dataclass(frozen=True, slots=True, eq=False)
class CommonModeGuard:
    """The least moments of sets whose links fail together without a known cause, from their daily losses, (sets,) each.

    ``variance`` of the mean loss over some days; ``more`` is the effect of one more bad day, ``more_square`` its second
    moment.
    """

    variance: Floats
    more: Floats
    more_square: Floats

    @classmethod
    def of(cls, daily: Sequence[Floats]) -> CommonModeGuard:
        """Return the guard of a window of one day, from the ``daily`` losses without the bus, (sets,) for each day.

        The variance is γ₀ + 2·max(γ₁, 0), with γ₀ the variance and γ₁ the lag-1 autocovariance of a day's loss.
        A bad day is drawn in proportion to its excess over the mean. Days without evidence (NaN) are left out; with fewer
        than two days the guard is zero.
        """
        # Few sets at a time, so that all their days fit the processor's cache.
        edges = np.linspace(0, len(daily[0]), max(1, len(daily[0]) // GUARDED_SETS) + 1).astype(np.int64).tolist()
        parts = [cls._moments(np.array([day[start:end] for day in daily])) for start, end in pairwise(edges)]
        return cls(*(np.concatenate(some) for some in zip(*parts, strict=True)))

    @staticmethod
    def _moments(daily: Floats) -> tuple[Floats, ...]:
        known = ~np.isnan(daily)
        count = known.sum(axis=0)
        mean = ratio(np.where(known, daily, 0.0).sum(axis=0), count, otherwise=0.0)
        deviation = np.where(known, daily - mean, 0.0)
        variance = ratio((deviation**2).sum(axis=0), count - 1, otherwise=0.0)
        lagged = ratio(
            (deviation[1:] * deviation[:-1]).sum(axis=0), (known[1:] & known[:-1]).sum(axis=0), otherwise=0.0
        )
        above = np.where(count > 1, np.maximum(deviation, 0.0), 0.0)
        square = above**2
        first, second, fourth = above.sum(axis=0), square.sum(axis=0), (square**2).sum(axis=0)
        more = ratio(second, first, otherwise=0.0)
        # Few bad days are a small sample of how bad days are: the effective number is that of equal draws.
        few = 1.0 + ratio(fourth, second**2, otherwise=0.0)
        return few * (variance + 2.0 * np.maximum(lagged, 0.0)), more, 2.0 * more**2

    def over(self, days: float) -> CommonModeGuard:
        """Return the guard of a window of this many days."""
        return CommonModeGuard(self.variance / days, self.more / days, self.more_square / days**2)
