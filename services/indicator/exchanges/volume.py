"""Whether a pair exchanges as much as it used to, hour for hour and weekday for weekday (docs/exchange.md §4).

Hours and weekdays are those of the clocks that people work by: what is steady by them is not so in UTC when they change.
The last six hours are held against the same hours of earlier days. What is expected is the median of the same weekday's;
how far days stray from that is learnt from all days, robustly, so that past outages and holidays neither hide a change
nor make one. Square roots of counts stray alike whatever the count, so silence and first traffic are judged as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints

__all__ = [
    "BLOCK_HOURS",
    "FEWEST",
    "MOST_WEEKS",
    "UNUSUAL",
    "VOLUME_WEEKS",
    "VolumeChange",
    "align_to_clock",
    "volume_change",
]

BLOCK_HOURS: Final = 6
VOLUME_WEEKS: Final = 3
MOST_WEEKS: Final = 8
"""How many earlier weeks it takes, and how many are looked at."""

FEWEST: Final = 20.0
"""Where fewer exchanges are expected, and fewer came, nothing is said."""

UNUSUAL: Final = 6.0
"""How many robust standard deviations from the expected a volume is unusual."""

_Hours = Ints | Floats

_DAY, _WEEK = 24, 7
_MEDIAN_SQUARE = 0.4549364231195724  # the median of a squared standard normal variable
_WHOLE_DAYS = 2 * _WEEK  # it takes so many for a trend


@dataclass(frozen=True, slots=True, eq=False)
class VolumeChange:
    """Of m pairs, (m,) each: exchanges ``seen`` in the last BLOCK_HOURS and ``expected`` (NaN without VOLUME_WEEKS).

    ``deviation`` in robust standard deviations, NaN where there is too little to tell; ``unusual`` beyond UNUSUAL of them.
    ``trend`` is the change per week as a share of the volume, NaN before two weeks or without traffic.
    """

    seen: Ints
    expected: Floats
    deviation: Floats
    unusual: Bools
    trend: Floats


def volume_change(counts: Ints, clock: Ints | None = None) -> VolumeChange:
    """Judge the end of consecutive whole hours (m, h), the last column being the latest.

    ``clock`` (h,) numbers the local hour that each begins in; without it, clocks never change.
    """
    laid = counts if clock is None else align_to_clock(counts, clock)
    recent = laid[:, -(MOST_WEEKS * _WEEK * _DAY + BLOCK_HOURS) :]
    blocks = _blocks(recent)
    pairs = len(counts)
    expected, deviation = np.full(pairs, np.nan), np.full(pairs, np.nan)
    if blocks.shape[1] > VOLUME_WEEKS * _WEEK:
        expected = _expected(blocks, 0)
        deviation = _deviation(blocks, expected)
    return VolumeChange(
        seen=counts[:, -BLOCK_HOURS:].sum(axis=1),
        expected=expected,
        deviation=deviation,
        unusual=np.abs(np.nan_to_num(deviation)) > UNUSUAL,
        trend=_trend(laid[:, -MOST_WEEKS * _WEEK * _DAY :]),
    )


def _blocks(counts: _Hours) -> Floats:
    """The last BLOCK_HOURS of the day that ends with the last hour, of the day before it, …: (m, days)."""
    hours = counts.shape[1]
    days = max(0, (hours - BLOCK_HOURS) // _DAY + 1)
    ends = hours - _DAY * np.arange(days)
    sums = np.concatenate([np.zeros((len(counts), 1)), counts.cumsum(axis=1)], axis=1)
    return np.asarray(sums[:, ends] - sums[:, ends - BLOCK_HOURS])


def _expected(blocks: Floats, day: int) -> Floats:
    """The median of the same weekday's other blocks; the latest never counts among them."""
    others = [one for one in range(day % _WEEK, blocks.shape[1], _WEEK) if one not in (0, day)]
    return np.asarray(np.median(blocks[:, others], axis=1))


def _deviation(blocks: Floats, expected: Floats) -> Floats:
    past = range(1, blocks.shape[1])
    usual = np.stack([_expected(blocks, day) for day in past], axis=1)
    # Of a count that strays by its own square root alone this is 1/(e+1); of one that strays by a share, the share².
    relative = np.median(_apart(blocks[:, 1:], usual) ** 2 / (usual + 1.0), axis=1) / _MEDIAN_SQUARE
    spread = np.sqrt(np.maximum(relative * (expected + 1.0), 1.0))
    judged = np.maximum(expected, blocks[:, 0]) >= FEWEST
    return np.where(judged, _apart(blocks[:, 0], expected) / spread, np.nan)


def _apart(seen: Floats, expected: Floats) -> Floats:
    return np.asarray(2.0 * (np.sqrt(seen + 0.25) - np.sqrt(expected + 0.25)))


def _trend(counts: _Hours) -> Floats:
    """Theil and Sen's slope of log volume per week, between days of the same weekday only."""
    days = counts.shape[1] // _DAY
    if days < _WHOLE_DAYS:
        return np.full(len(counts), np.nan)
    daily = counts[:, counts.shape[1] - days * _DAY :].reshape(len(counts), days, _DAY).sum(axis=2)
    logs = np.log(daily + 0.5)
    slopes = np.concatenate(
        [(logs[:, lag:] - logs[:, :-lag]) * (_WEEK / lag) for lag in range(_WEEK, days, _WEEK)], axis=1
    )
    return np.where(daily.any(axis=1), np.expm1(np.median(slopes, axis=1)), np.nan)


_WEEK_HOURS = 168


def align_to_clock(counts: Ints, clock: Ints) -> Ints | Floats:
    """Lay out consecutive hours (m, h) by the local hour that each begins in, ``clock`` (h,), whose last is the latest.

    Returns a column for each local hour from the first to the last, (m, l); ``counts`` itself where clocks do not change.
    """
    if not clock.size or (np.diff(clock) == 1).all():
        return counts
    at = clock - clock.min()
    times = np.bincount(at)
    laid = np.zeros((len(counts), len(times)))
    whole = times[at] == 1
    laid[:, at[whole]] = counts[:, whole]
    for hour in np.flatnonzero(times != 1):
        weeks = np.arange(hour % _WEEK_HOURS, len(times), _WEEK_HOURS)
        if len(others := weeks[times[weeks] == 1]):
            laid[:, hour] = np.median(laid[:, others], axis=1)
    return laid
