"""Days of a timezone, and of the Gregorian and the Jalali calendar; leap seconds. Pure.

Midnights decide, not local dates: a local date may return where clocks go back over midnight.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from persiantools.jdatetime import JalaliDate

JALALI_YEARS: Final = range(1300, 1501)
"""Years that are read as Jalali, 1921 to 2122. Any other year is Gregorian."""

_SECOND_60: Final = re.compile(r"(?<=:[0-9]{2}):60(?![:0-9])")


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


def datetime_of(text: str) -> datetime:
    """Return the moment that ISO 8601 text names, as `datetime.fromisoformat` does, also in a leap second of RFC 3339.

    Raises ValueError for anything else, such as a second 60 without an offset.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        before, seconds = _SECOND_60.subn(":59", text)
        moment = datetime.fromisoformat(before)
        if not seconds or moment.tzinfo is None:
            raise
    end_of_month(moment.replace(microsecond=0).timestamp())
    return moment + timedelta(seconds=1)


def utc_minute(moment: float) -> str:
    """Return a moment in epoch seconds to the minute, as sentences name it."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def end_of_month(last_second: float) -> float:
    """Return the end of a month in UTC from its last second, in epoch seconds. Raises ValueError for any other second.

    A leap second, second 60, is read as the second that follows it, as POSIX counts. Leap seconds end a month in UTC (RFC
    3339 §5.7, RFC 9110 §5.6.7). Which months have one is announced half a year ahead, so any month may.
    """
    end = last_second + 1
    if datetime.fromtimestamp(end, UTC).timetuple()[2:6] != (1, 0, 0, 0):
        raise ValueError("a leap second ends a month in UTC")
    return end
