"""The moment that data is of, from what an answer says about it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

from services.prober.checks.jalali import YEARS, gregorian
from services.register.reading import fold

__all__ = ["moment"]

# From 2000 to 2100: what is a moment of these years in one of the units is one in no other, nor a date in eight digits.
_EPOCH: Final = (946_684_800, 4_102_444_800)
_UNITS: Final = (1, 10**3, 10**6, 10**9)
_COMPACT: Final = (1000_01_01, 9999_12_31)
_DATE: Final = re.compile(
    r"(?P<year>[0-9]{4})(?P<mark>[-/])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})"
    r"(?P<time>[Tt ] ?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]{1,9})?)?"
    r" ?(?P<offset>[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?)?"
)


# The third form of RFC 9110, 5.6.7, which names no zone and means UTC.
_ASCTIME: Final = re.compile(r"[A-Za-z]{3} [A-Za-z]{3} +[0-9]{1,2} [0-9:]{8} [0-9]{4}")


def moment(value: object, zone: tzinfo) -> float | None:
    """Read the epoch seconds meant by a JSON value or a text; None when it cannot be read.

    Read are RFC 3339, the epoch's seconds, milli-, micro- and nanoseconds of the years from 2000 to 2100 (numbers or
    digits), HTTP dates, and Jalali dates (`1403/05/12`, `14030512`, `1403-05-12 14:05:06`): a year from 1300 to 1500 is
    Jalali, any other Gregorian. Digits may be Persian or Arabic. A date alone is the start of its day in ``zone``, and a Jalali time without an offset is one of ``zone``;
    a Gregorian time without an offset is not read: half the world means UTC by it, and a guess moves an age by hours.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _number(float(value), zone)
    if not isinstance(value, str):
        return None
    text = fold(value)
    if _DATE.match(text):
        return _date(text, zone)
    return _number(float(text), zone) if text.replace(".", "", 1).isdecimal() else _http_date(text)


def _number(number: float, zone: tzinfo) -> float | None:
    first, end = _EPOCH
    for unit in _UNITS:
        if first * unit <= number < end * unit:
            return number / unit
    first, last = _COMPACT
    if not (first <= number <= last and number.is_integer()):
        return None
    months, day = divmod(int(number), 100)
    try:
        return datetime.combine(_day(*divmod(months, 100), day), time(), zone).timestamp()
    except (ValueError, OverflowError):
        return None


def _day(year: int, month: int, day: int) -> date:
    return gregorian(year, month, day) if year in YEARS else date(year, month, day)


def _date(text: str, zone: tzinfo) -> float | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    try:
        on = _day(year, month, day)
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
    if parsed.tzinfo is None:
        return parsed.replace(tzinfo=UTC).timestamp() if _ASCTIME.fullmatch(text) else None
    return parsed.timestamp()
