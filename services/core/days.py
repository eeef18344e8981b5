"""Days of a timezone, and of the Gregorian and the Jalali calendar. Pure.

Midnights decide, not local dates: a local date may return where clocks go back over midnight.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from persiantools.jdatetime import JalaliDate

JALALI_YEARS: Final = range(1300, 1501)
"""Years that are read as Jalali, 1921 to 2122. Any other year is Gregorian."""


def day_in_calendar(year: int, month: int, day: int) -> date:
    """Return a day of the calendar that its year belongs to. Raises ValueError where the calendar does not have it."""
    if year not in JALALI_YEARS:
        return date(year, month, day)
    return JalaliDate(year, month, day).to_gregorian()  # type: ignore[no-untyped-call]  # the library leaves it out


@lru_cache(maxsize=4096)
def midnight(timezone: str, day: date) -> int:
    """Return a day's first midnight in epoch seconds; where clocks skip midnight, the moment they do."""
    # fold=0: the first of two midnights, or the moment of the jump where clocks skip midnight.
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp())


def day_of(timezone: str, moment: float) -> date:
    """Return the day of a moment in epoch seconds: the last day whose midnight is not after it."""
    day = datetime.fromtimestamp(moment, ZoneInfo(timezone)).date()
    while moment < midnight(timezone, day):
        day -= timedelta(days=1)
    while moment >= midnight(timezone, day + timedelta(days=1)):
        day += timedelta(days=1)
    return day
