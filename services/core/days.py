"""Days of a timezone: midnights decide, not local dates, which may return where clocks go back over midnight. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=4096)
def midnight(timezone: str, day: date) -> int:
    """Return a day's first midnight in epoch seconds; where clocks skip midnight, the moment they do."""
    # fold=0: the first of two midnights, or the moment of the jump where clocks skip midnight.
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp())


def day_of(timezone: str, moment: float) -> date:
    """Return the day of a moment in epoch seconds: the last whose midnight is not after it."""
    day = datetime.fromtimestamp(moment, ZoneInfo(timezone)).date()
    while moment < midnight(timezone, day):
        day -= timedelta(days=1)
    while moment >= midnight(timezone, day + timedelta(days=1)):
        day += timedelta(days=1)
    return day
