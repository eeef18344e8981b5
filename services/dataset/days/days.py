"""The day of each row of evidence, by when its slot began and when the stream stored it (docs/archive.md §2). Pure."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from services.core.days import day_of, midnight


class EvidenceDays:
    """The days of one timezone. A day takes rows until ``grace_seconds`` after its end, by the clock of the stream."""

    def __init__(self, timezone: str, grace_seconds: float) -> None:
        self.timezone = timezone
        self._grace = grace_seconds
        self._day_of = lru_cache(maxsize=4096)(self._uncached_day_of)  # slots are few
        self._closes = lru_cache(maxsize=4096)(self._uncached_closes)

    def day_of(self, moment: float) -> str:
        """Return the day of a moment in epoch seconds, as YYYY-MM-DD."""
        return self._day_of(int(moment))

    def span(self, day: str) -> range:
        """Return the seconds of a day, from its start to its end, which is exclusive."""
        first = date.fromisoformat(day)
        return range(midnight(self.timezone, first), midnight(self.timezone, first + timedelta(days=1)))

    def closes(self, day: str) -> float:
        """Return when a day takes no more rows, in epoch seconds."""
        return self._closes(day)

    def place(self, slot_start: int, stored: float) -> tuple[bool, str]:
        """Return whether a row came too late or too early for the day of its slot, and its day.

        That of the former is the day on which it was stored: no window counts such a row, and a sealed day takes none.
        """
        day = self.day_of(slot_start)
        late = stored > self.closes(day) or day > self.day_of(stored + _EARLY_SECONDS)
        return late, self.day_of(stored) if late else day

    def _uncached_day_of(self, moment: int) -> str:
        return day_of(self.timezone, moment).isoformat()

    def _uncached_closes(self, day: str) -> float:
        return self.span(day).stop + self._grace


_EARLY_SECONDS = 3600
"""How far clocks of probers may be ahead of the stream's, and a slot begin early."""
