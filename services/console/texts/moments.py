"""Writes moments, days and months as text: the Jalali calendar in Persian, the Gregorian in English. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache

from persiantools.jdatetime import JalaliDate

from services.console.texts.numbers import write_digits

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


_DAYS = 1024
"""How many written days are cached, more than any page has: a history has hundreds of moments on few days."""


def iso(moment: float) -> str:
    """Return epoch seconds as RFC 3339 in UTC, to the second."""
    return f"{datetime.fromtimestamp(int(moment), UTC).replace(tzinfo=None).isoformat()}Z"


@lru_cache(_DAYS)
def write_day(day: date, language: str) -> str:
    """Return a day, such as 27 November 2026."""
    if language == "fa":
        jalali = JalaliDate(day)  # type: ignore[no-untyped-call]  # the library has no types
        return f"{write_digits(str(jalali.day), language)} {jalali.strftime('%B %Y', locale='fa')}"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def write_months(held: str, language: str) -> str:
    """Return a month written YYYY-MM, or two with ``/`` between them.

    A Gregorian month overlaps two Jalali ones. In Persian a single month becomes both of them. Two months run from the
    end of the first to the start of the second, since a Jalali month was recorded as the two Gregorian ones that it
    overlaps.
    """
    first, _, last = held.partition("/")
    (year, month), (last_year, last_month) = (map(int, text.split("-")) for text in (first, last or first))
    if language == "fa":
        ends = (
            (date(year, month, 25), date(last_year, last_month, 5))
            if last
            else (date(year, month, 5), date(year, month, 25))
        )
        names = [_jalali_month(day) for day in ends]
        if ends[0] > ends[1] or names[0] == names[1]:
            return names[0]
        start, year_of_start = names[0].rsplit(" ", 1)
        same_year = names[1].endswith(year_of_start)
        return f"{start if same_year else names[0]} {'تا' if last else 'و'} {names[1]}"
    start = f"{_MONTHS[month - 1]} {year}"
    if not last:
        return start
    end = f"{_MONTHS[last_month - 1]} {last_year}"
    return f"{_MONTHS[month - 1] if year == last_year else start} to {end}"


def _jalali_month(day: date) -> str:
    return str(JalaliDate(day).strftime("%B %Y", locale="fa"))  # type: ignore[no-untyped-call]  # as above


def write_clock(moment: float, zone: tzinfo, language: str, *, seconds: bool = False) -> str:
    """Return the time of day, with seconds where asked."""
    local = datetime.fromtimestamp(moment, zone)
    return write_digits(local.strftime("%H:%M:%S" if seconds else "%H:%M"), language)


def local_day(moment: float, zone: tzinfo) -> date:
    """Return the day of a moment in a timezone."""
    return datetime.fromtimestamp(moment, zone).date()
