"""How old data is, from what an answer says about it. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from email.utils import parsedate_to_datetime

from services.register.text import fold

__all__ = ["moment"]

# Epoch milliseconds of 1973 are epoch seconds of the year 5138: nothing sensible lies between.
_MILLISECONDS_FROM = 1e11


def moment(value: object) -> float | None:
    """Read the epoch seconds meant by a JSON value or header text; None when it cannot be read.

    Read are RFC 3339 with its offset, epoch seconds and milliseconds (numbers or digits), and HTTP dates. A time
    without an offset is not read: guessing a zone would move an age by hours.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _epoch(float(value))
    if not isinstance(value, str):
        return None
    text = fold(value)
    for read in (_number, _rfc3339, _http_date):
        seconds = read(text)
        if seconds is not None:
            return seconds
    return None


def _epoch(number: float) -> float | None:
    if not math.isfinite(number) or number < 0:
        return None
    return number / 1000 if number >= _MILLISECONDS_FROM else number


def _number(text: str) -> float | None:
    return _epoch(float(text)) if text.replace(".", "", 1).isdecimal() else None


def _rfc3339(text: str) -> float | None:
    if len(text) < len("2000-01-01T00:00:00Z"):
        return None
    try:
        parsed = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return None if parsed.tzinfo is None else parsed.timestamp()


def _http_date(text: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return None if parsed.tzinfo is None else parsed.timestamp()
