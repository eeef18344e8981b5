"""Reads holidays.csv, the days on which traffic differs from other weeks, in the Gregorian or the Jalali calendar."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from services.core.model import Holiday
from services.register.faults import FaultList
from services.register.reading import read_calendar_day, read_id, read_name, read_optional_table

HOLIDAYS = "holidays.csv"

_NO_DAY = date.min


def read_holidays(directory: Path, faults: FaultList) -> tuple[Holiday, ...]:
    """Read the holidays, in order of days. A day appears once, as it has one kind."""
    first: dict[date, int] = {}
    holidays = []
    for row in read_optional_table(directory / HOLIDAYS, faults, ("date", "kind", "name_en", "name_fa")).rows:
        day = row.need("date", read_calendar_day, _NO_DAY)
        if day in first:
            row.fault("date", f"`{row.text('date')}` is already the day of line {first[day]}")
        elif day != _NO_DAY:
            first[day] = row.location.line
        kind = row.need("kind", read_id, "")
        holidays.append(Holiday(day, kind, row.need("name_en", read_name, ""), row.need("name_fa", read_name, "")))
    return tuple(sorted(holidays, key=lambda holiday: holiday.day))
