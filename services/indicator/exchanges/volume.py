"""Compares the last hours' volume of links with the median of the same hours of that weekday (docs/exchange.md §4).

Hours and weekdays are local, because volume that is steady by local time is not steady in UTC when clocks change.
Findings judge whether a volume is unusual (services/indicator/findings).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Floats, Ints

BLOCK_HOURS: Final = 6
VOLUME_WEEKS: Final = 3
MOST_WEEKS: Final = 8
"""The fewest earlier weeks for an expectation, and the most that are used."""

_Hours = Ints | Floats

_DAY, _WEEK = 24, 7
_TREND_DAYS = 2 * _WEEK  # the fewest for a trend


@dataclass(frozen=True, slots=True, eq=False)
class VolumeChange:
    """Of m links, (m,) each: exchanges ``seen`` in the last BLOCK_HOURS and ``expected`` (NaN without VOLUME_WEEKS).

    ``trend`` is the change per week as a share of the volume, NaN before two weeks or without traffic.
    """

    seen: Ints
    expected: Floats
    trend: Floats


def volume_change(counts: Ints, clock: Ints) -> VolumeChange:
    """Measure the volume at the end of consecutive whole hours (m, h); the last column is the latest.

    ``clock`` (h,) is the local hour in which each begins.
    """
    local = align_to_clock(counts, clock)
    recent = local[:, -(MOST_WEEKS * _WEEK * _DAY + BLOCK_HOURS) :]
    blocks = _blocks(recent)
    known = blocks.shape[1] > VOLUME_WEEKS * _WEEK
    return VolumeChange(
        seen=counts[:, -BLOCK_HOURS:].sum(axis=1),
        expected=_expected(blocks) if known else np.full(len(counts), np.nan),
        trend=_trend(local[:, -MOST_WEEKS * _WEEK * _DAY :]),
    )


def _blocks(counts: _Hours) -> Floats:
    """Return the sums of the last BLOCK_HOURS of each day, counted back from the last hour: (m, days)."""
    hours = counts.shape[1]
    days = max(0, (hours - BLOCK_HOURS) // _DAY + 1)
    ends = hours - _DAY * np.arange(days)
    sums = np.concatenate([np.zeros((len(counts), 1)), counts.cumsum(axis=1)], axis=1)
    return np.asarray(sums[:, ends] - sums[:, ends - BLOCK_HOURS])


def _expected(blocks: Floats) -> Floats:
    """Return the median of the same weekday's earlier blocks."""
    return np.asarray(np.median(blocks[:, _WEEK::_WEEK], axis=1))


def _trend(counts: _Hours) -> Floats:
    """Return the Theil-Sen slope of log volume per week, between days of the same weekday only."""
    days = counts.shape[1] // _DAY
    if days < _TREND_DAYS:
        return np.full(len(counts), np.nan)
    daily = counts[:, counts.shape[1] - days * _DAY :].reshape(len(counts), days, _DAY).sum(axis=2)
    logs = np.log(daily + 0.5)
    slopes = np.concatenate(
        [(logs[:, lag:] - logs[:, :-lag]) * (_WEEK / lag) for lag in range(_WEEK, days, _WEEK)], axis=1
    )
    return np.where(daily.any(axis=1), np.expm1(np.median(slopes, axis=1)), np.nan)


def align_to_clock(counts: Ints, clock: Ints) -> Ints | Floats:
    """Arrange consecutive hours (m, h) by the local hour ``clock`` (h,) in which each begins; the last is the latest.

    Returns a column for each local hour from the first to the last, (m, l), or ``counts`` itself where clocks do not
    change. Where they do, an hour is missing or repeated; both get the median of the same hour of the same weekday.
    """
    if not clock.size or (np.diff(clock) == 1).all():
        return counts
    column, week_hours = clock - clock.min(), _WEEK * _DAY
    times = np.bincount(column)
    local = np.zeros((len(counts), len(times)))
    once = times[column] == 1
    local[:, column[once]] = counts[:, once]
    for hour in np.flatnonzero(times != 1):
        weeks = np.arange(hour % week_hours, len(times), week_hours)
        if len(others := weeks[times[weeks] == 1]):
            local[:, hour] = np.median(local[:, others], axis=1)
    return local
