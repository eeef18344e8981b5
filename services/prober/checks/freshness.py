"""Reads how old the data of an answer is, and judges latency and age: stages 3 and 4 of judging. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

from services.core.days import JALALI_YEARS, day_in_calendar, end_of_month
from services.core.model import Reason
from services.core.texts import fold
from services.prober.checks.captures import value_at
from services.prober.checks.document import CheckFailedError, Document
from services.prober.expected import Expectations
from services.prober.observation import Observation

# The years 2000 to 2100. A number in this range in one unit is out of range in every other unit, and is no date in
# eight digits.
_EPOCH: Final = (946_684_800, 4_102_444_800)
_UNITS: Final = (1, 10**3, 10**6, 10**9)
_EIGHT_DIGITS: Final = (1000_01_01, 9999_12_31)
_DATE: Final = re.compile(
    r"(?P<year>[0-9]{4})(?P<mark>[-/])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})"
    r"(?P<time>[Tt ] ?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]{1,9})?)?"
    r" ?(?P<offset>[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?)?"
)
# The third form of RFC 9110 §5.6.7. It names no zone and means UTC.
_ASCTIME: Final = re.compile(r"[A-Za-z]{3} [A-Za-z]{3} +[0-9]{1,2} [0-9:]{8} [0-9]{4}")
# Clocks are wrong by minutes, and a date without a time begins up to a day ahead. Anything later is not a time of data.
_MAX_AHEAD_SECONDS: Final = 86_400.0


def age_of(observation: Observation, document: Document, expectations: Expectations) -> float | None:
    """Return the seconds from the time that the answer gives for its data to the end of the answer.

    A time up to a day ahead is age 0. Return None when no age is expected. Raises CheckFailedError (AGE_UNREADABLE)
    when the time cannot be read or is further ahead.
    """
    fresh = expectations.fresh
    if fresh is None:
        return None
    try:
        value = value_at(fresh, observation, document)
    except CheckFailedError:
        value = None
    moment = parse_moment(value, expectations.zone)
    if moment is None:
        raise CheckFailedError(Reason.AGE_UNREADABLE, "the answer does not state the age of its data")
    age = observation.time + observation.duration - moment
    if age < -_MAX_AHEAD_SECONDS:
        raise CheckFailedError(Reason.AGE_UNREADABLE, "the data is from more than a day ahead")
    return max(0.0, age)


def check_time(observation: Observation, expectations: Expectations, age: float | None) -> None:
    """Check the latency (stage 3) and the ``age`` of the data in seconds (stage 4) of an answer with right content."""
    latency, limit = observation.latency, expectations.latency
    if latency is not None and limit is not None and latency > limit:
        raise CheckFailedError(Reason.LATE, f"answered after {latency * 1000:.0f} ms, more than {limit * 1000:.0f} ms")
    if age is not None and expectations.max_age is not None and age > expectations.max_age:
        raise CheckFailedError(Reason.STALE, f"the data is {age:.0f} s old, more than {expectations.max_age:.0f} s")


def parse_moment(value: object, zone: tzinfo) -> float | None:
    """Return the epoch seconds that a JSON value or a text means, None when it cannot be read.

    These forms are accepted:

    * RFC 3339
    * seconds, milliseconds, microseconds and nanoseconds of the epoch for the years 2000 to 2100, as number or digits
    * HTTP dates
    * Jalali dates: `1403/05/12`, `14030512`, `1403-05-12 14:05:06`

    A year from 1300 to 1500 is Jalali, any other Gregorian. Digits may be Persian or Arabic. A date without a time is
    the start of its day in ``zone``, and a Jalali time without an offset is in ``zone``. A Gregorian time without an
    offset is not read: many systems mean UTC by it, and a wrong guess moves an age by hours.

    Second 60 is a leap second, read as the following second, at the end of a month in UTC (`end_of_month`). Elsewhere it is
    not read.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _parse_number(float(value), zone)
    if not isinstance(value, str):
        return None
    text = fold(value)
    if _DATE.match(text):
        return _parse_date(text, zone)
    return _parse_number(float(text), zone) if text.replace(".", "", 1).isdecimal() else _parse_http_date(text)


def _parse_number(number: float, zone: tzinfo) -> float | None:
    first, end = _EPOCH
    for unit in _UNITS:
        if first * unit <= number < end * unit:
            return number / unit
    first, last = _EIGHT_DIGITS
    if not (first <= number <= last and number.is_integer()):
        return None
    months, day = divmod(int(number), 100)
    try:
        return datetime.combine(day_in_calendar(*divmod(months, 100), day), time(), zone).timestamp()
    except (ValueError, OverflowError):
        return None


def _parse_date(text: str, zone: tzinfo) -> float | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    try:
        day_of_data = day_in_calendar(year, month, day)
        if not match["time"]:
            return datetime.combine(day_of_data, time(), zone).timestamp()
        if not match["offset"] and year not in JALALI_YEARS:
            return None
        second = int(match["second"] or 0)
        leaps = second == 60  # a leap second
        time_of_day = time(int(match["hour"]), int(match["minute"]), 59 if leaps else second)
        offset = _parse_offset(match) if match["offset"] else zone
        moment = datetime.combine(day_of_data, time_of_day, offset).timestamp()
        return (end_of_month(moment) if leaps else moment) + float(match["fraction"] or 0)
    except (ValueError, OverflowError):
        return None


def _parse_offset(match: re.Match[str]) -> tzinfo:
    if not match["sign"]:
        return UTC
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return timezone(-offset if match["sign"] == "-" else offset)


def _parse_http_date(text: str) -> float | None:
    leaps = ":59:60" in text
    try:
        parsed = parsedate_to_datetime(text.replace(":59:60", ":59:59"))
        if parsed.tzinfo is None:
            if not _ASCTIME.fullmatch(text):
                return None
            parsed = parsed.replace(tzinfo=UTC)
        return end_of_month(parsed.timestamp()) if leaps else parsed.timestamp()
    except (ValueError, IndexError, OverflowError):
        return None
