"""The agencies' indexes in every combination of the six switches (docs/method.md §7.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.core.model import IndicatorKind
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.index import strict_shares
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity.limits import FACTORS
from services.indicator.shares import LinkShares, grouping, mean_share
from services.indicator.sums import group_sums, ratio
from services.indicator.verdicts import WindowCounts

SWITCHES: Final = ("weights", "aggregate", "latency limit", "age limit", "window", "unknown")


@dataclass(frozen=True, slots=True, eq=False)
class SwitchCases:
    """All combinations for the agencies in one role.

    ``states`` are the names of each switch's states, in the order of SWITCHES; ``base`` is the headline's combination.
    ``values`` (states of each switch…, agencies) rank the agencies; NaN without an index.
    """

    kind: IndicatorKind
    ids: tuple[str, ...]
    states: tuple[tuple[str, ...], ...]
    base: tuple[int, ...]
    values: Floats


def compute_cases(
    arrays: RegisterArrays,
    counted: Mapping[tuple[float, float, int], WindowCounts],
    kind: IndicatorKind,
    *,
    windows: Sequence[int],
    window: int,
    volumes: Ints | None,
) -> SwitchCases:
    """Compute every combination for the agencies as consumers or as providers.

    ``counted`` has the counts of each window with τ and φ times two factors; ``window``, one of ``windows``, is the
    headline's. ``volumes`` (n,) are exchanges per link; without any, links cannot be weighted by them, and that state is
    left out. Providers have no E (§4), so their aggregate is I alone.
    """
    weights = ("service", "link") if volumes is None or not volumes.any() else ("service", "link", "volume")
    aggregates = ("I", "E") if kind is IndicatorKind.CONSUMER else ("I",)
    factors = tuple(f"x{factor:g}" for factor in FACTORS)
    states = (weights, aggregates, factors, factors, tuple(str(days) for days in windows), ("impute", "zero"))
    values = np.empty((*map(len, states), len(arrays.agencies)))
    for i, latency in enumerate(FACTORS):
        for j, age in enumerate(FACTORS):
            for k, days in enumerate(windows):
                counts = counted[latency, age, days]
                for w, weights_of in enumerate(weights):
                    reweighted = reweight(arrays, weights_of, counts.slots > 0, volumes)
                    for a, indexes in enumerate(_values(reweighted, counts, kind)[: len(aggregates)]):
                        values[w, a, i, j, k] = indexes
    unchanged = FACTORS.index(1.0)
    base = (0, 0, unchanged, unchanged, list(windows).index(window), states[-1].index("zero"))
    return SwitchCases(kind, arrays.agencies, states, base, values)


def reweight(arrays: RegisterArrays, weights: str, in_force: Bools, volumes: Ints | None) -> RegisterArrays:
    """Return the register with other weights; with ``service`` they are the register's, each service counting by v_s.

    ``link``: each link counts by its own w, and a service by the sum over its links in force. ``volume``: a link counts by
    its exchanges instead of w. A link without logged exchanges (absent, or with calls that serve several links) counts
    by the mean of its service's links, else of all. A weight of zero in the register stays zero.
    """
    if weights == "service":
        return arrays
    services = len(arrays.services)
    counts = in_force & (arrays.weight > 0) & (arrays.service_weight[arrays.service] > 0)
    weight = np.where(counts, arrays.weight, 0.0)
    if weights == "volume" and volumes is not None:
        logged = counts & (volumes > 0)
        of_service = group_sums(arrays.service[logged], volumes[logged], services)
        links_of_service = group_sums(arrays.service[logged], logged[logged], services)
        overall = ratio(np.array([volumes[logged].sum()]), np.array([logged.sum()]), otherwise=1.0)[0]
        typical = np.where(links_of_service > 0, ratio(of_service, links_of_service, otherwise=0.0), overall)
        weight = np.where(counts, np.where(logged, volumes, typical[arrays.service]), 0.0)
    return replace(arrays, weight=weight, service_weight=group_sums(arrays.service, weight, services))


def _values(arrays: RegisterArrays, counts: WindowCounts, kind: IndicatorKind) -> tuple[Floats, Floats]:
    """Return I and E of every agency, each (2, agencies): with unknown slots imputed, and counted as not served."""
    shares = LinkShares.of(arrays, counts.slots, counts.counts, counts.paper)
    ids, group, weight = grouping(shares, kind)
    means = mean_share(shares, group, weight, len(ids))
    strict, strict_lower, _ = strict_shares(arrays, counts, kind, len(ids))
    # An agency without a known joint slot gets the government's E, as a link without any nearer source does.
    of_government = strict_shares(arrays, counts, IndicatorKind.GOVERNMENT, 1)[0]
    strict = np.where(np.isnan(strict), of_government, strict)
    index, whole = np.array([means.estimate, means.lower]), np.array([strict, strict_lower])
    # Where nothing at all is known, all agencies rank equally.
    return np.where(means.total > 0, np.nan_to_num(index), np.nan), np.where(
        means.total > 0, np.nan_to_num(whole), np.nan
    )
