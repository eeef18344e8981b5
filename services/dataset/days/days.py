"""Finds the day of each row of evidence, by when its slot began and when it was stored (docs/archive.md §2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

from services.core.days import day_of, midnight


@dataclass(frozen=True, slots=True)
class SealedMessages:
    """The sealed days: ``last`` is the latest, ``messages`` has the last message of a stream in each.

    A sealed day never changes, whatever a later policy says about its grace or the timezone.
    """

    last: str = ""
    messages: Mapping[str, int] = field(default_factory=dict)

    def misses(self, day: str, sequence: int) -> bool:
        """Return whether a day is sealed without a message that belongs to it."""
        return day <= self.last and sequence > self.messages.get(day, 0)

    def following(self, day: str) -> str:
        """Return a day, or the day after the last sealed day if that is later."""
        after = date.fromisoformat(self.last) + timedelta(days=1) if self.last else date.min
        return max(day, after.isoformat())


class EvidenceDays:
    """The days of one timezone. A slot, and a day, take rows until ``grace_seconds`` after their end, by the stream's clock."""

    def __init__(self, timezone: str, grace_seconds: float, slot_seconds: int) -> None:
        self.timezone = timezone
        self._grace = grace_seconds
        self._slot = slot_seconds
        self._day_of = lru_cache(maxsize=4096)(self._uncached_day_of)  # slots are few
        self.closes = lru_cache(maxsize=4096)(self._closes)

    def day_of(self, moment: float) -> str:
        """Return the day of a moment in epoch seconds, as YYYY-MM-DD."""
        return self._day_of(int(moment))

    def span(self, day: str) -> range:
        """Return the seconds of a day, from its start to its end, which is exclusive."""
        first = date.fromisoformat(day)
        return range(midnight(self.timezone, first), midnight(self.timezone, first + timedelta(days=1)))

    def closes_next(self, moment: float) -> float:
        """Return when the next day closes after a moment; this may be at most a second before the moment."""
        return self.closes(self.day_of(moment - self._grace - self._slot - 1.0))

    def place(self, moment: int, stored: float, *, slotted: bool) -> tuple[bool, str]:
        """Return whether a row of a moment came too late or too early, and its day.

        The day of such a row is the one on which it was stored, since a sealed day takes no such row. If a slot starts
        at the moment, such rows are the ones that count in no window (docs/method.md §2).
        """
        day = self.day_of(moment)
        if slotted:
            late = stored > moment + self._slot + self._grace or moment > stored + self._slot
        else:
            late = stored > self.closes(day) or day > self.day_of(stored + self._slot)
        return late, self.day_of(stored) if late else day

    def _uncached_day_of(self, moment: int) -> str:
        return day_of(self.timezone, moment).isoformat()

    def _closes(self, day: str) -> float:
        """Return when a day takes no more rows, in epoch seconds."""
        return self.span(day).stop + self._slot + self._grace  # its last slot may end after midnight
