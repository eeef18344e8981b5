"""Three simple detectors of unusual volumes, for comparison: each hour is judged by the same hour of earlier weeks.

* ``sigma``: mean ± 3 standard deviations of the last eight weeks, at least one exchange, from three weeks on.
* ``xroad``: the rule of X-Road Metrics' analyser, as its documentation and configuration state it. After three months
  it alarms when |z| has a two-sided probability below 1 - .95, by hour and weekday and by day and
  weekday. Mean and deviation are of all earlier weeks, and a deviation of 0 counts as .001. Hours without exchanges are
  not seen, and alarms come ten days later.
* ``band``: median ± 3 times 1.4826 times the median absolute deviation of the last eight weeks, from three weeks on.
  The deviation is at least that of a Poisson count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIMPLE", "Alarms", "RecentWeeks", "XRoad", "band", "sigma"]

_WEEKS: Final = 8
_FEWEST: Final = 3
_XROAD_Z: Final = 1.959964
_XROAD_WEEKS: Final = 13
_XROAD_LATE: Final = 240

Alarms = NDArray[np.int8]
"""(flows, hours): -1 where the hour is too low, 1 where too high, 0 where it is as usual or not judged."""


def _outside(seen: NDArray[Any], middle: NDArray[Any], deviation: NDArray[Any], most: float) -> Alarms:
    distance = seen - middle
    return (np.sign(distance) * (np.abs(distance) > most * deviation)).astype(np.int8)


def sigma(weeks: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean and the standard deviation."""
    return weeks.mean(axis=0), np.maximum(weeks.std(axis=0, ddof=1), 1.0)


def band(weeks: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the median and the median absolute deviation."""
    middle = np.median(weeks, axis=0)
    return middle, np.maximum(1.4826 * np.median(np.abs(weeks - middle), axis=0), np.sqrt(middle + 1.0))


@dataclass
class RecentWeeks:
    """Judges by a middle and a deviation of the last weeks."""

    usual: Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
    late: int = 0
    past: list[NDArray[Any]] = field(default_factory=list)

    def judge(self, count: NDArray[Any]) -> Alarms:
        """Judge a week (flows, hours), then learn it."""
        alarms = np.zeros(count.shape, np.int8)
        if len(self.past) >= _FEWEST:
            alarms = _outside(count, *self.usual(np.stack(self.past)), 3.0)
        self.past = [*self.past, count][-_WEEKS:]
        return alarms


@dataclass
class XRoad:
    """Judges by means and deviations of all earlier weeks, of hours and of days with exchanges."""

    late: int = _XROAD_LATE
    weeks: int = 0
    hours: list[NDArray[Any]] = field(default_factory=list)
    days: list[NDArray[Any]] = field(default_factory=list)

    def judge(self, count: NDArray[Any]) -> Alarms:
        """Judge a week (flows, hours), then learn it. A day's alarm stands at its last hour."""
        daily = count.reshape(len(count), 7, 24).sum(axis=2)
        alarms = self._one(count, self.hours)
        of_days = self._one(daily, self.days)
        last = alarms[:, 23::24]
        last[last == 0] = of_days[last == 0]
        self.weeks += 1
        return alarms

    def _one(self, seen: NDArray[Any], sums: list[NDArray[Any]]) -> Alarms:
        if not sums:
            sums.extend(np.zeros(seen.shape) for _ in range(3))
        number, total, squares = sums
        alarms = np.zeros(seen.shape, np.int8)
        if self.weeks >= _XROAD_WEEKS:
            mean = total / np.maximum(number, 1)
            deviation = np.sqrt(np.maximum(squares / np.maximum(number, 1) - mean**2, 0.0))
            deviation[deviation == 0] = 0.001
            alarms = _outside(seen, mean, deviation, _XROAD_Z)
            alarms[(seen == 0) | (number == 0)] = 0
        number += seen > 0
        total += seen
        squares += seen.astype(np.float64) ** 2
        return alarms


SIMPLE: Final[Mapping[str, Callable[[], RecentWeeks | XRoad]]] = {
    "mean ± 3σ": partial(RecentWeeks, sigma),
    "X-Road Metrics": XRoad,
    "median and MAD": partial(RecentWeeks, band),
}
