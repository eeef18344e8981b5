"""Causes put together for sets of links: a service's, an agency's, a sector's, the government's (INDICATOR.md §6, Set X)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.indicator.interval import Spread, bus_bounds, combine, pool, set_bounds, spread
from services.indicator.odds import Bounds
from services.indicator.shares import ratio
from services.indicator.spells import Spells

__all__ = ["Causes", "Sets", "group_bounds", "guard", "link_bounds"]


@dataclass(frozen=True, slots=True, eq=False)
class Causes:
    """What one window shows of all causes: ``providers`` (agencies,), links' ``own`` faults (n,), and the ``bus``."""

    providers: Spread
    own: Spread
    bus: Bounds

    @classmethod
    def of(cls, window: Spells, record: Spells, agencies: int) -> Causes:
        """Spread the causes of a window, with its record; both in the order bus, agencies, links.

        A bus of which nothing is known loses nothing and adds no margin.
        """
        providers, own = slice(1, 1 + agencies), slice(1 + agencies, None)

        def of_class(part: slice) -> Spread:
            past = record.part(part)
            return spread(window.part(part), past, pool(past))

        return cls(of_class(providers), of_class(own), bus_bounds(window.part(slice(1)), record.part(slice(1))))


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """Sets that each of n links belongs to one of, and the m pairs of a set and a provider that links fall into.

    ``group`` and ``pair`` (n,) of each link; ``pair_group`` and ``pair_provider`` (m,) of each pair.
    """

    size: int
    group: NDArray[np.int64]
    pair: NDArray[np.int64]
    pair_group: NDArray[np.int64]
    pair_provider: NDArray[np.int64]

    @classmethod
    def of(cls, group: NDArray[np.int64], size: int, provider: NDArray[np.int64]) -> Sets:
        """Find the pairs of links with these sets, of which there are ``size``, and these providers."""
        providers = int(provider.max(initial=0)) + 1
        pairs, pair = np.unique(group * providers + provider, return_inverse=True)
        pair_group, pair_provider = np.divmod(pairs, providers)
        return cls(size, group, pair, pair_group, pair_provider)


def link_bounds(causes: Causes, provider: NDArray[np.int64]) -> Bounds:
    """Bound the loss of each link, an aggregate of its ``provider`` (n,) and its own faults."""
    providers, own = causes.providers, causes.own
    of = Spread(
        loss=np.minimum(1.0, providers.loss[provider] + own.loss),
        variance=providers.variance[provider] + own.variance,
        more=np.maximum(providers.more[provider], own.more),
        more_square=np.maximum(providers.more_square[provider], own.more_square),
        less=np.maximum(providers.less[provider], own.less),
        less_square=np.maximum(providers.less_square[provider], own.less_square),
    )
    return combine(set_bounds(of), causes.bus)


def group_bounds(sets: Sets, weight: NDArray[np.float64], causes: Causes, floor: NDArray[np.float64]) -> Bounds:
    """Bound the loss of each set: y = ΣW_c times its loss, v = ΣW_c²·v_c, w = max W_c·a_c, w₂ = max W_c²·b_c.

    ``weight`` (n,) is each link's; W_c is the share of it that depends on cause c. ``floor`` (sets,) is the guard: v is
    never below it. Zero throughout where nothing weighs.
    """
    providers, own = causes.providers, causes.own
    share = ratio(weight, np.bincount(sets.group, weight, sets.size)[sets.group], otherwise=0.0)
    of_pair = np.bincount(sets.pair, share, len(sets.pair_group))

    def total(power: int, of_provider: NDArray[np.float64], of_link: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.bincount(sets.pair_group, of_pair**power * of_provider[sets.pair_provider], sets.size)
        # Few links have any fault of their own.
        at = np.flatnonzero(of_link)
        found += np.bincount(sets.group[at], share[at] ** power * of_link[at], sets.size)
        return np.asarray(found, dtype=np.float64)

    def largest(power: int, of_provider: NDArray[np.float64], of_link: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.zeros(sets.size)
        np.maximum.at(found, sets.pair_group, of_pair**power * of_provider[sets.pair_provider])
        np.maximum.at(found, sets.group, share**power * of_link)
        return found

    of = Spread(
        loss=np.minimum(1.0, total(1, providers.loss, own.loss)),
        variance=np.maximum(total(2, providers.variance, own.variance), floor),
        more=largest(1, providers.more, own.more),
        more_square=largest(2, providers.more_square, own.more_square),
        less=largest(1, providers.less, own.less),
        less_square=largest(2, providers.less_square, own.less_square),
    )
    return combine(set_bounds(of), causes.bus)


def guard(daily: NDArray[np.float64], days: float) -> NDArray[np.float64]:
    """Variance of a set's mean loss over ``days``, from its ``daily`` bus-free losses over the record (days, sets).

    [γ₀ + 2·max(γ₁, 0)] / D, with γ₀ the variance and γ₁ the lag-1 autocovariance: what fails together without a common
    cause known shows in it. Days of which nothing is known (NaN) are left out. 0 where fewer than two days are known.
    """
    known = ~np.isnan(daily)
    count = known.sum(axis=0)
    mean = ratio(np.where(known, daily, 0.0).sum(axis=0), count, otherwise=0.0)
    apart = np.where(known, daily - mean, 0.0)
    variance = ratio((apart**2).sum(axis=0), count - 1, otherwise=0.0)
    lagged = ratio((apart[1:] * apart[:-1]).sum(axis=0), (known[1:] & known[:-1]).sum(axis=0), otherwise=0.0)
    return (variance + 2.0 * np.maximum(lagged, 0.0)) / days
