"""Every combination of the six switches, and what each makes of the agencies' indexes (docs/method.md §7). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.core.model import IndicatorKind
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.index import strict_shares
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import group_sums, grouping, link_shares, mean_share, ratio
from services.indicator.verdicts import WindowCounts

__all__ = ["FACTORS", "SWITCHES", "SwitchCases", "compute_cases", "reweigh"]

SWITCHES: Final = ("weights", "aggregate", "latency limit", "age limit", "window", "unknown")

FACTORS: Final = (0.5, 1.0, 2.0)
"""What τ and φ are multiplied by."""


@dataclass(frozen=True, slots=True, eq=False)
class SwitchCases:
    """All combinations for the agencies in one role.

    ``states`` names each switch's states, in the order of SWITCHES; ``base`` is the headline's combination.
    ``values`` (states of each switch…, agencies): what agencies are ranked by; NaN where one has no index.
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

    ``counted`` says what each window holds with τ and φ times two factors; ``window``, one of ``windows``, is the
    headline's. ``volumes`` (n,) are exchanges per link: without any, links cannot be weighed by them, and that state is
    left out. E has no provider (§4), so for providers the aggregate is I alone.
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
                for w, weighed in enumerate(weights):
                    reweighed = reweigh(arrays, weighed, counts.slots > 0, volumes)
                    for a, of in enumerate(_values(reweighed, counts, kind)[: len(aggregates)]):
                        values[w, a, i, j, k] = of
    one = FACTORS.index(1.0)
    base = (0, 0, one, one, list(windows).index(window), states[-1].index("zero"))
    return SwitchCases(kind, arrays.agencies, states, base, values)


def reweigh(arrays: RegisterArrays, weights: str, in_force: Bools, volumes: Ints | None) -> RegisterArrays:
    """Return the register with other weights: ``service`` leaves the register's, each service counting by v_s.

    ``link``: each link counts by its own w, so a service by those of its links in force. ``volume``: by its exchanges
    in place of w; where none are logged (an absent link logs nothing, and a call that serves several links belongs to
    none of them) by the mean of its service's links, else of all. What weighs nothing in the register never does.
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
    """Return I and E of every agency, each (2, agencies): unknown imputed, and counted as not served."""
    shares = link_shares(arrays, counts.slots, counts.counts)
    ids, group, weight = grouping(arrays, shares, kind)
    means = mean_share(shares, group, weight, len(ids))
    strict, strict_lower, _ = strict_shares(arrays, counts, kind, len(ids))
    # Where no joint slot of an agency is known, E is imputed as q is where no link of a service is: from everybody's.
    everybody = strict_shares(arrays, counts, IndicatorKind.GOVERNMENT, 1)[0]
    strict = np.where(np.isnan(strict), everybody, strict)
    index, whole = np.array([means.estimate, means.lower]), np.array([strict, strict_lower])
    # Where nothing at all is known of anybody, nobody ranks before anybody.
    return np.where(means.total > 0, np.nan_to_num(index), np.nan), np.where(
        means.total > 0, np.nan_to_num(whole), np.nan
    )
