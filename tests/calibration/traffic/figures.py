"""Figures of the trial with their intervals: findings a week, shares found, delays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtri

from tests.calibration.traffic.scenarios import FaultKind
from tests.calibration.traffic.trial import Quiet, TriedCause, TriedFault

__all__ = ["ALLOWED", "BUDGET", "Causes", "Found", "Rate", "causes_of", "found_of", "rates_of"]

BUDGET = 1.0
ALLOWED = 1.5
"""The upper bound of false findings a week may be so many times the budget."""

WITHIN = {"stop": 1.5, "fall by 80 %": 2.0, "fall by 50 %": 2.0}
"""Multiples of the floor within which a fault is to be found in 95 % of cases."""

ENOUGH = 3.0
"""Multiples of the floor that a flow must be expected to exchange until the end for its fault to count."""

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
    """Sum the lives of a scenario. The interval is the wider of a Poisson count's and that of weeks as they differ."""
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


@dataclass(frozen=True)
class Found:
    """How a fault was found by a detector: of ``cases`` that could be, the shares ``found`` and found ``within`` the multiple of
    the floor (NaN where none is asked), the medians of hours and of multiples of the floor, and the change point's median distance.
    """

    fault: FaultKind
    cases: int
    found: float
    found_low: float
    within: float
    hours: float
    multiple: float
    off: float
    alone: float


def found_of(tried: Sequence[TriedFault], fault: FaultKind, who: str) -> Found:
    """Sum the cases of a fault."""
    enough = ENOUGH * fault.floor if fault.floor else ENOUGH_WITHOUT_FLOOR
    cases = [one for one in tried if one.fault == fault and one.could >= enough and who in one.passed]
    passed = np.array([np.inf if (value := one.passed[who]) is None else value for one in cases])
    hours = np.array([np.inf if (value := one.hours[who]) is None else value for one in cases])
    found = np.isfinite(passed)
    off = np.array([abs(one.off) for one in cases if one.off is not None])
    asked = WITHIN.get(fault.name)
    with np.errstate(invalid="ignore"):
        return Found(
            fault,
            len(cases),
            float(found.mean()) if cases else np.nan,
            _wilson_low(int(found.sum()), len(cases)),
            float((passed <= asked * fault.floor).mean()) if asked and fault.floor and cases else np.nan,
            float(np.median(hours)) if cases else np.nan,
            float(np.median(passed) / fault.floor) if fault.floor and cases else np.nan,
            float(np.median(off)) if len(off) else np.nan,
            float(np.mean([one.findings == 1 for one in cases if one.passed[who] is not None]))
            if found.any()
            else np.nan,
        )


def _wilson_low(found: int, cases: int) -> float:
    if not cases:
        return float("nan")
    z, share = float(ndtri(0.975)), found / cases
    middle = share + z**2 / (2 * cases)
    return float((middle - z * np.sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2))) / (1 + z**2 / cases))


@dataclass(frozen=True)
class Causes:
    """Of ``cases`` of one cause: the shares found, with one finding made in the end, with one from the first, and
    which were charged to the scope that failed.
    """

    cause: str
    cases: int
    found: float
    one: float
    one_at_first: float
    right: float


def causes_of(tried: Sequence[TriedCause], cause: str) -> Causes:
    """Sum the cases of a cause; shares of one finding are of those found."""
    cases = [one for one in tried if one.cause == cause]
    found = [one for one in cases if one.in_the_end]
    return Causes(
        cause,
        len(cases),
        len(found) / max(len(cases), 1),
        float(np.mean([one.in_the_end == 1 for one in found])) if found else np.nan,
        float(np.mean([one.at_first == 1 for one in found])) if found else np.nan,
        float(np.mean([one.scopes[0] == cause for one in found])) if found else np.nan,
    )
