"""The moment that data is of, from what an answer says about it. Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

from services.prober.checks.jalali import YEARS, gregorian
from services.register.text import fold

__all__ = ["moment"]

# Epoch milliseconds of 1973 are epoch seconds of the year 5138: nothing sensible lies between.
_MILLISECONDS_FROM: Final = 1e11
_DATE: Final = re.compile(
    r"(?P<year>[0-9]{4})(?P<mark>[-/])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})"
    r"(?P<time>[Tt ] ?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]{1,9})?)?"
    r" ?(?P<offset>[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?)?"
)


def moment(value: object, zone: tzinfo) -> float | None:
    """Read the epoch seconds meant by a JSON value or a text; None when it cannot be read.

    Read are RFC 3339, epoch seconds and milliseconds (numbers or digits), HTTP dates, and Jalali dates
    (`1403/05/12`, `1403-05-12 14:05:06`): a year from 1300 to 1500 is Jalali, any other Gregorian. Digits may be Persian
    or Arabic. A date alone is the start of its day in ``zone``, and a Jalali time without an offset is one of ``zone``;
    a Gregorian time without an offset is not read: half the world means UTC by it, and a guess moves an age by hours.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _epoch(float(value))
    if not isinstance(value, str):
        return None
    text = fold(value)
    if _DATE.match(text):
        return _date(text, zone)
    seconds = _number(text)
    return _http_date(text) if seconds is None else seconds


def _epoch(number: float) -> float | None:
    if not math.isfinite(number) or number < 0:
        return None
    return number / 1000 if number >= _MILLISECONDS_FROM else number


def _number(text: str) -> float | None:
    return _epoch(float(text)) if text.replace(".", "", 1).isdecimal() else None


def _date(text: str, zone: tzinfo) -> float | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    try:
        on = gregorian(year, month, day) if year in YEARS else date(year, month, day)
        if not found["time"]:
            return datetime.combine(on, time(), zone).timestamp()
        if not found["offset"] and year not in YEARS:
            return None
        at = time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
        offset = _offset(found) if found["offset"] else zone
        return datetime.combine(on, at, offset).timestamp() + float(found["fraction"] or 0)
    except (ValueError, OverflowError):
        return None


def _offset(found: re.Match[str]) -> tzinfo:
    if not found["sign"]:
        return UTC
    ahead = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return timezone(-ahead if found["sign"] == "-" else ahead)


def _http_date(text: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return None if parsed.tzinfo is None else parsed.timestamp()
