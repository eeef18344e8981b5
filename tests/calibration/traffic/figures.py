"""Figures of the trial with their intervals: findings a week, shares found, delays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaincinv

from tests.calibration.traffic.scenarios import FaultKind
from tests.calibration.traffic.trial import Quiet, TriedCause, TriedFault

__all__ = [
    "ALLOWED",
    "BUDGET",
    "Causes",
    "Figure",
    "Found",
    "Rate",
    "causes_of",
    "found_of",
    "median_of",
    "rates_of",
    "share_of",
]

BUDGET = 1.0
ALLOWED = 1.5
"""The upper bound of false findings a week may be so many times the budget."""

WITHIN = {"stop": 1.5, "fall by 80 %": 2.0, "fall by 50 %": 2.0}
"""Multiples of the floor within which a fault is to be found in 95 % of cases."""

ENOUGH = 3.0
"""Multiples of the floor that a flow must be expected to exchange until the end for its fault to count."""

ALL = "all"
"""Stands for every cause."""

ENOUGH_WITHOUT_FLOOR = 2000.0
"""Exchanges that must be expected until the end where no floor is stated."""


@dataclass(frozen=True)
class Rate:
    """Findings a week of one scenario by detector, with their 95 % interval, over so many flow-weeks."""

    scenario: str
    flow_weeks: int
    found: dict[str, int]
    rate: dict[str, float]
    high: dict[str, float]
    low: dict[str, float]
    by_kind: Counter[str]


def rates_of(lives: Sequence[Quiet]) -> Rate:
    """Sum the lives of a scenario. The interval is the wider of two: a Poisson count's, and that between weeks."""
    names = list(lives[0].weekly)
    weeks = {name: np.concatenate([life.weekly[name] for life in lives]) for name in names}
    bounds = {name: _interval(weeks[name]) for name in names}
    return Rate(
        scenario=lives[0].scenario,
        flow_weeks=sum(life.flows * len(life.weekly["ours"]) for life in lives),
        found={name: int(weeks[name].sum()) for name in names},
        rate={name: float(weeks[name].mean()) for name in names},
        low={name: bounds[name][0] for name in names},
        high={name: bounds[name][1] for name in names},
        by_kind=sum((life.by_kind for life in lives), Counter()),
    )


def _interval(weeks: np.ndarray) -> tuple[float, float]:
    total, number = int(weeks.sum()), len(weeks)
    low = gammaincinv(total, 0.025) / number if total else 0.0
    high = gammaincinv(total + 1, 0.975) / number
    margin = 1.96 * weeks.std(ddof=1) / np.sqrt(number)
    return float(min(low, max(weeks.mean() - margin, 0.0))), float(max(high, weeks.mean() + margin))


class Figure(NamedTuple):
    """A share or a median, with its 95 % interval; NaN where nothing was counted."""

    value: float
    low: float
    high: float


def share_of(cases: Iterable[object]) -> Figure:
    """Return the share of cases that are true, with Wilson's interval."""
    true = [bool(one) for one in cases]
    if not true:
        return Figure(np.nan, np.nan, np.nan)
    from scipy.stats import binomtest  # noqa: PLC0415  # every worker collects its tests, and one runs them

    interval = binomtest(sum(true), len(true)).proportion_ci(method="wilson")
    return Figure(float(np.mean(true)), float(interval.low), float(interval.high))


def median_of(values: Sequence[float] | np.ndarray) -> Figure:
    """Return the median, with the interval of a binomial count between two of the values. Infinity is a value."""
    sample = np.asarray(values, float)
    if not len(sample):
        return Figure(np.nan, np.nan, np.nan)
    from scipy.stats import quantile_test  # noqa: PLC0415  # every worker collects its tests, and one runs them

    interval: Any = quantile_test(sample, p=0.5).confidence_interval()
    return Figure(float(np.median(sample)), float(interval.low), float(interval.high))


@dataclass(frozen=True)
class Found:
    """How a detector found a fault.

    Of ``cases`` that it could find, these are the shares ``found``, found ``within`` the multiple of the floor (NaN
    where none is asked) and, of those found, with one finding ``alone``. ``hours``, ``multiple`` of the floor and
    ``off``, the distance of the change point, are medians.
    """

    fault: FaultKind
    cases: int
    found: Figure
    within: Figure
    hours: Figure
    multiple: Figure
    off: Figure
    alone: Figure


def found_of(tried: Sequence[TriedFault], fault: FaultKind, who: str) -> Found:
    """Sum the cases of a fault."""
    enough = ENOUGH * fault.floor if fault.floor else ENOUGH_WITHOUT_FLOOR
    cases = [one for one in tried if one.fault == fault and one.could >= enough and who in one.passed]
    passed = np.array([np.inf if (value := one.passed[who]) is None else value for one in cases])
    asked = WITHIN.get(fault.name)
    return Found(
        fault,
        len(cases),
        found=share_of(np.isfinite(passed)),
        within=share_of(passed <= asked * fault.floor if asked and fault.floor else ()),
        hours=median_of([np.inf if (value := one.hours[who]) is None else value for one in cases]),
        multiple=median_of(passed / fault.floor if fault.floor else ()),
        off=median_of([abs(one.off) for one in cases if one.off is not None]),
        alone=share_of(one.findings == 1 for one in cases if one.passed[who] is not None),
    )


@dataclass(frozen=True)
class Causes:
    """How our detector found faults of one cause, or of all.

    Of ``cases`` this is the share ``found``. The others are shares of those found: with ``one`` finding made in the
    end, with ``one_at_first``, and charged to the ``right`` scope, that which failed.
    """

    cause: str
    cases: int
    found: Figure
    one: Figure
    one_at_first: Figure
    right: Figure


def causes_of(tried: Sequence[TriedCause], cause: str = ALL) -> Causes:
    """Sum the cases of a cause, or all."""
    cases = [one for one in tried if cause in (ALL, one.cause)]
    found = [one for one in cases if one.in_the_end]
    return Causes(
        cause,
        len(cases),
        found=share_of(one.in_the_end for one in cases),
        one=share_of(one.in_the_end == 1 for one in found),
        one_at_first=share_of(one.at_first == 1 for one in found),
        right=share_of(one.scopes[0] == one.cause for one in found),
    )
