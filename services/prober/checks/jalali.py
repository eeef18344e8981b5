"""The Solar Hijri (Jalali) calendar of Iran. Pure.

A year begins on the day of the March equinox in Tehran. From 1178 to 1633 its leap years are those of a 33-year cycle with
eight of them; day numbers follow in whole-number arithmetic from one known day, 1 Farvardin 1403 = 20 March 2024. The
tests compare every year from 1300 to 1500 with the equinoxes themselves (J. Meeus, Astronomical Algorithms, 27).
"""

from __future__ import annotations

from datetime import date
from typing import Final

__all__ = ["YEARS", "gregorian"]

YEARS: Final = range(1300, 1501)
"""Years that are taken for Jalali: 1921 to 2122."""

_KNOWN: Final = 1403
_KNOWN_DAY: Final = date(2024, 3, 20).toordinal()


def _leap_days(year: int) -> int:
    """Leap days from a fixed day on until the year begins."""
    return (8 * year + 21) // 33


def _first_day(year: int) -> int:
    return _KNOWN_DAY + 365 * (year - _KNOWN) + _leap_days(year) - _leap_days(_KNOWN)


def gregorian(year: int, month: int, day: int) -> date:
    """Return the Gregorian date of a Jalali one. ValueError when there is no such day, or the year is not in YEARS."""
    if year not in YEARS or not 1 <= month <= 12:
        raise ValueError("no such month in the Jalali calendar")
    before = 31 * (month - 1) if month <= 7 else 30 * (month - 1) + 6
    length = 31 if month <= 6 else 30 if month < 12 else _first_day(year + 1) - _first_day(year) - before
    if not 1 <= day <= length:
        raise ValueError("no such day in the Jalali calendar")
    return date.fromordinal(_first_day(year) + before + day - 1)
