"""Slots, days and windows: which slots an index is computed over (docs/method.md §3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from services.core.days import day_of, midnight
from services.core.model import Holiday, Policy
from services.indicator.array_types import Ints

RECORD_DAYS: Final = 90
"""Days of the record: the 90 days that end with the window, or the window if that is longer (docs/method.md §6.1)."""

HOUR_SECONDS: Final = 3_600
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Slots aligned to UTC, days that begin at midnight in the policy's timezone.

    A slot has the number ``slot_start // slot_seconds`` and belongs to the day that its start is in. ``epoch`` is in
    epoch seconds; no window has slots that start before it. Evidence kept by one calendar is of no use to another.
    """

    timezone: str
    epoch: float
    slot_seconds: int

    @classmethod
    def of(cls, policy: Policy) -> Calendar:
        """Return the calendar of a policy; an epoch without an offset is in the policy's timezone."""
        epoch = policy.epoch
        if epoch.tzinfo is None:
            epoch = epoch.replace(tzinfo=ZoneInfo(policy.timezone))
        return cls(timezone=policy.timezone, epoch=epoch.timestamp(), slot_seconds=policy.slot_seconds)

    @property
    def epoch_slot(self) -> int:
        """The first slot that starts at or after the epoch."""
        return ceil(self.epoch / self.slot_seconds)

    def slot_of(self, moment: float) -> int:
        """Return the slot that contains the moment (epoch seconds)."""
        return int(moment // self.slot_seconds)

    def start_of(self, slot: int) -> int:
        """Return the slot's start in epoch seconds."""
        return slot * self.slot_seconds

    def midnight(self, day: date) -> int:
        """Return the day's first midnight in epoch seconds; where clocks skip midnight, the moment they do."""
        return midnight(self.timezone, day)

    def first_slot(self, day: date) -> int:
        """Return the first slot that starts at or after the day's midnight."""
        return -(-self.midnight(day) // self.slot_seconds)

    def day_of(self, slot: int) -> date:
        """Return the day that the slot's start is in: the last whose midnight is not after it."""
        return day_of(self.timezone, self.start_of(slot))

    def slots_of(self, day: date) -> range:
        """Return the slots that start in the day."""
        return range(self.first_slot(day), self.first_slot(day + timedelta(days=1)))

    def days(self, span: range) -> Iterator[tuple[date, range]]:
        """Yield the days of a span of slots, with the slots of the span in each."""
        start = span.start
        while start < span.stop:
            day = self.day_of(start)
            stop = min(self.first_slot(day + timedelta(days=1)), span.stop)
            yield day, range(start, stop)
            start = stop

    def hours(self, span: range) -> range:
        """Return the hours since 1970 in which the slots of a span start."""
        start, last = self.start_of(span.start), self.start_of(span.stop - 1)
        return range(start // HOUR_SECONDS, last // HOUR_SECONDS + 1)

    def local_hours(self, hours: range) -> Ints:
        """Return the local hour, counted from 1970-01-01T00 local, in which each of h hours since 1970 begins: (h,)."""
        zone = ZoneInfo(self.timezone)
        moments = (datetime.fromtimestamp(hour * HOUR_SECONDS, zone) for hour in hours)
        offsets = [(moment.utcoffset() or timedelta()) // _HOUR for moment in moments]
        return np.asarray(hours, np.int64) + np.asarray(offsets, np.int64)

    def day_kinds(self, starts: Ints, holidays: Iterable[Holiday]) -> Ints:
        """Return the kind of day in which each of h steps begins, (h,): 0 is an ordinary day.

        ``starts`` (h,) are epoch seconds. The kinds of holidays are counted from 1, in the order of their names.
        """
        kind_of = {holiday.day: holiday.kind for holiday in holidays}
        numbers = {kind: number for number, kind in enumerate(sorted(set(kind_of.values())), 1)}
        days = sorted(kind_of)
        midnights = np.array([self.midnight(day) for day in days], np.int64)
        ends = np.array([self.midnight(day + timedelta(days=1)) for day in days], np.int64)
        kinds = np.array([0, *(numbers[kind_of[day]] for day in days)], np.int64)
        positions = np.searchsorted(midnights, starts, side="right")
        within = (positions > 0) & (starts < np.append(ends, 0)[positions - 1])
        return np.where(within, kinds[positions], 0)

    def window(self, days: int, end_slot: int) -> range:
        """Return the slots of the last ``days`` complete days and of today so far, up to ``end_slot`` exclusive (§3).

        Today is the day in which ``end_slot`` starts. At exactly midnight, today has no slot yet, and the window is the
        ``days`` days before it. A window never starts before the epoch, and is empty when ``end_slot`` is not after it.
        """
        today = self.day_of(end_slot)
        start = max(self.first_slot(today - timedelta(days=days)), self.epoch_slot)
        return range(start, max(start, end_slot))


def record_span(policy: Policy, window_days: int, end_slot: int) -> range:
    """Return the slots up to ``end_slot`` of RECORD_DAYS, of the policy's windows or of ``window_days``, if longer."""
    return Calendar.of(policy).window(max(RECORD_DAYS, *policy.windows_days, window_days), end_slot)
