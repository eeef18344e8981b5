"""The agreement of probes with the logs of the bus (docs/method.md §7.8; docs/exchange.md §4).

Both are compared over the same hours, each weighted by its exchanges, because traffic drops at night and probes do not. A
log shows only whether an answer came, so a probe counts as answered from INVALID on.

Neither exchanges nor probes are independent draws: an outage fails all of them for hours. The unit here is therefore a
*day*, 24 hours counted from the window's start. Variances come from days and pairs of neighbouring days, as for a ratio of
sums: v = [B/(B-1)·Σr² + 2·max(0, Σrr₊₁)] / N², r = x - R·n. As in docs/method.md §6, each interval assumes one more bad day,
of at least two of the busiest hours; quantiles are Student's, because few days are a small sample of how days differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.intervals import LEVEL, LossBounds, LossMoments, bound_sets
from services.indicator.scipy_parts import stdtrit

DAY_HOURS: Final = 24

AGREEMENT_DAYS: Final = 4.0
"""The fewest days of even traffic, (Σn)²/Σn², that are compared."""

FLAG_LEVEL: Final = 0.999
"""The level of the difference's interval: a link that agrees is flagged in at most one window of a thousand."""

_MANY: Final = 1e6  # degrees of freedom at which Student's distribution is normal


@dataclass(frozen=True, slots=True, eq=False)
class HourlyCounts:
    """Counts of m links in each of h consecutive hours, (m, h).

    ``ok`` of the ``exchanges`` succeeded, and ``answered`` of the ``known`` slots were answered.
    """

    exchanges: Ints
    ok: Ints
    known: Ints
    answered: Ints

    def since(self, hour: int) -> HourlyCounts:
        """Return the counts from an hour on."""
        return HourlyCounts(*(counts[:, hour:] for counts in (self.exchanges, self.ok, self.known, self.answered)))


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """The agreement of m links, (m,) each; without ``sufficient`` traffic only ``compared`` is valid.

    ``compared`` exchanges are in hours in which the link was probed. ``logs`` and ``probes`` are shares that failed, with
    bounds at LEVEL; ``difference`` is the share that succeeded by logs less that by probes, with bounds at FLAG_LEVEL;
    ``disagrees`` where these exclude 0.
    """

    compared: Ints
    sufficient: Bools
    logs: LossBounds
    probes: LossBounds
    difference: Floats
    difference_low: Floats
    difference_high: Floats
    disagrees: Bools


def compare_hours(counts: HourlyCounts) -> Agreement:
    """Compare probes and logs of each link, by days that begin with the first hour."""
    both = (counts.exchanges > 0) & (counts.known > 0)
    exchanges = np.where(both, counts.exchanges, 0).astype(np.float64)
    answered = np.divide(counts.answered, counts.known, out=np.zeros_like(exchanges), where=both)
    days = _days(exchanges)
    total = exchanges.sum(axis=1)
    even = np.divide(total**2, (days**2).sum(axis=1), out=np.zeros_like(total), where=total > 0)
    sufficient = even >= AGREEMENT_DAYS
    total = np.maximum(total, 1.0)
    hour = exchanges.max(axis=1, initial=0.0) / total
    failed = _days(np.where(both, counts.exchanges - counts.ok, 0).astype(np.float64))
    unanswered = _days(exchanges * (1.0 - answered))
    difference, variance, _ = _ratio(unanswered - failed, days, total)
    freedom = np.maximum(even - 1.0, 1.0)
    # A failure in one hour on one side only is no disagreement: the other side may have missed it by a minute.
    margin = np.hypot(stdtrit(freedom, (1.0 + FLAG_LEVEL) / 2.0) * np.sqrt(variance), hour)
    few = (stdtrit(freedom, (1.0 + LEVEL) / 2.0) / stdtrit(_MANY, (1.0 + LEVEL) / 2.0)) ** 2
    return Agreement(
        compared=exchanges.sum(axis=1).astype(np.int64),
        sufficient=sufficient,
        logs=_bounds(failed, days, total, 2.0 * hour, few),
        probes=_bounds(unanswered, days, total, 2.0 * hour, few),
        difference=difference,
        difference_low=np.maximum(difference - margin, -1.0),
        difference_high=np.minimum(difference + margin, 1.0),
        disagrees=sufficient & (np.abs(difference) > margin),
    )


def _days(hours: Floats) -> Floats:
    """Sum hours to days (m, d); the last day may be incomplete."""
    number = -(-hours.shape[1] // DAY_HOURS)
    days = np.pad(hours, ((0, 0), (0, number * DAY_HOURS - hours.shape[1]))).reshape(len(hours), number, DAY_HOURS)
    return np.asarray(days.sum(axis=2), dtype=np.float64)


def _ratio(part: Floats, days: Floats, total: Floats) -> tuple[Floats, Floats, Floats]:
    """Return Σpart / Σdays, its variance with days as the units, and the residual of each day, (m, d)."""
    ratio = part.sum(axis=1) / total
    rest = part - ratio[:, None] * days
    used = np.maximum((days > 0).sum(axis=1), 2)
    beside = np.maximum((rest[:, 1:] * rest[:, :-1]).sum(axis=1), 0.0)
    return ratio, (used / (used - 1) * (rest**2).sum(axis=1) + 2.0 * beside) / total**2, rest


def _bounds(part: Floats, days: Floats, total: Floats, least: Floats, few: Floats) -> LossBounds:
    """Bound a share that failed, from its days and one more day as bad as the bad ones, of at least ``least``.

    ``few`` is the factor by which variances are raised for few days.
    """
    ratio, variance, rest = _ratio(part, days, total)
    ratio = np.clip(ratio, 0.0, 1.0)
    bad, good = (_mean_bad_day(np.maximum(sign * rest, 0.0)) / total for sign in (1.0, -1.0))
    more, less = (1.0 - ratio) * np.maximum(bad, least), ratio * np.maximum(good, least)
    return bound_sets(LossMoments(ratio, few * variance, more, 2.0 * more**2, less, 2.0 * less**2))


def _mean_bad_day(excess: Floats) -> Floats:
    """Return the mean excess of a day drawn in proportion to its excess."""
    total = excess.sum(axis=1)
    return np.asarray(np.divide((excess**2).sum(axis=1), total, out=np.zeros_like(total), where=total > 0))
