"""Reads values from text: ids, numbers, dates, durations, sizes. Pure.

Every ``read_*`` takes the text as a person wrote it and raises ValueError with the reason when it cannot be used.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.core.days import datetime_of, day_in_calendar
from services.core.model import placeholders
from services.core.texts import fold

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(B|KiB|MiB|GiB)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# A prober holds an answer in memory, and 2,000 probes may be under way.
_LARGEST_BYTES = 64 << 20
_LONGEST_SECONDS = 10 * 366 * 86_400
# Messages hold whole numbers in 32 bits.
_LARGEST_WHOLE = (1 << 32) - 1
# Sums of a million such weights are exact to the unit.
_HEAVIEST = 1_000_000_000
_YEARS = range(1900, 2200)


def read_id(text: str) -> str:
    """Read an id, which becomes a subject token and a label value."""
    folded = fold(text)
    if not _ID.fullmatch(folded):
        raise ValueError(f"`{text}` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit")
    return folded


def read_name(text: str) -> str:
    """Read a text for people, kept as written."""
    return text.strip()


def read_template(text: str) -> str:
    """Read a text that may hold placeholders."""
    placeholders(text)
    return text.strip()


def read_choice(text: str, *choices: str) -> str:
    """Read one of ``choices``."""
    folded = fold(text)
    if folded not in choices:
        raise ValueError(f"`{text}` is not one of {', '.join(choices)}")
    return folded


def read_flag(text: str) -> bool:
    """Read ``true`` or ``false``."""
    return read_choice(text, "true", "false") == "true"


def read_whole(text: str, *, most: int = _LARGEST_WHOLE) -> int:
    """Read a whole number from 0 to ``most``."""
    folded = fold(text)
    if not _WHOLE.fullmatch(folded):
        raise ValueError(f"`{text}` is not a whole number")
    if (number := int(folded)) < 0:
        raise ValueError(f"`{text}` is negative")
    if number > most:
        raise ValueError(f"`{text}` is above {most}")
    return number


def read_count(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not (number := read_whole(text)):
        raise ValueError(f"`{text}` is not above 0")
    return number


def read_number(text: str) -> float:
    """Read a finite decimal number, with a point or the Persian decimal sign."""
    folded = fold(text).replace("\N{ARABIC DECIMAL SEPARATOR}", ".")
    if not _NUMBER.fullmatch(folded) or not math.isfinite(number := float(folded)):
        raise ValueError(f"`{text}` is not a number")
    return number


def read_weight(text: str) -> float:
    """Read a number from 0 to a billion."""
    if (number := read_number(text)) < 0:
        raise ValueError(f"`{text}` is negative")
    if number > _HEAVIEST:
        raise ValueError(f"`{text}` is above {_HEAVIEST}")
    return number


def read_share(text: str, whole: float = 1) -> float:
    """Read a number from 0 to ``whole``."""
    if not 0 <= (number := read_number(text)) <= whole:
        raise ValueError(f"`{text}` is not between 0 and {whole:g}")
    return number


def read_slo(text: str) -> float:
    """Read a share strictly between 0 and 1: at 1 there would be no error budget."""
    if not 0 < (number := read_number(text)) < 1:
        raise ValueError(f"`{text}` is not between 0 and 1")
    return number


def read_day(text: str) -> date:
    """Read a day, YYYY-MM-DD in the Gregorian calendar."""
    folded = fold(text)
    if not _DAY.fullmatch(folded):
        raise ValueError(f"`{text}` is not a date: write YYYY-MM-DD")
    return _checked(text, folded).date()


def read_calendar_day(text: str) -> date:
    """Read a day, YYYY-MM-DD in the Gregorian calendar or, with a year from 1300 to 1500, in the Jalali calendar."""
    folded = fold(text)
    if not _DAY.fullmatch(folded):
        raise ValueError(f"`{text}` is not a date: write YYYY-MM-DD")
    year, month, day = map(int, folded.split("-"))
    try:
        return read_day(str(day_in_calendar(year, month, day)))
    except ValueError:
        raise ValueError(f"`{text}` is no day of the Gregorian or the Jalali calendar") from None


def read_zone(text: str) -> tzinfo:
    """Read the name of a time zone."""
    try:
        return ZoneInfo(text.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"`{text}` is not a time zone: write a name such as Asia/Tehran") from None


def read_moment(text: str, zone: tzinfo) -> datetime:
    """Read a time, returned in UTC: RFC 3339 with an offset, or a day, which means its midnight in ``zone``."""
    folded = fold(text)
    if _DAY.fullmatch(folded):
        return datetime.combine(read_day(text), time.min, zone).astimezone(UTC)
    if not _MOMENT.fullmatch(folded):
        raise ValueError(f"`{text}` is not a time: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+hh:mm")
    return _checked(text, folded.upper()).astimezone(UTC)


def read_duration(text: str) -> float:
    """Read a duration in seconds: ``500ms``, ``5s``, ``2m``, ``1h``."""
    match = _DURATION.fullmatch(fold(text))
    if not match or not (seconds := float(match[1]) * _SECONDS[match[2]]):
        raise ValueError(f"`{text}` is not a duration: write a number and ms, s, m, h or d, such as 5s")
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"`{text}` is longer than ten years")
    return seconds


def read_size(text: str, *, largest: int = _LARGEST_BYTES) -> int:
    """Read a size in bytes, at most ``largest``: ``512B``, ``64KiB``, ``1MiB``."""
    match = _SIZE.fullmatch(fold(text))
    if not match or (size := float(match[1]) * _BYTES[match[2]]) < 1:
        raise ValueError(f"`{text}` is not a size: write a number and B, KiB, MiB or GiB, such as 1MiB")
    if size > largest:
        raise ValueError(f"`{text}` is above {largest >> 20} MiB")
    return int(size)


def _checked(text: str, iso: str) -> datetime:
    try:
        moment = datetime_of(iso)
    except ValueError:
        raise ValueError(f"`{text}` does not exist in the calendar") from None
    if moment.year not in _YEARS:
        raise ValueError(f"`{text}` lies outside 1900-2199: write Gregorian years, not Jalali ones")
    return moment
