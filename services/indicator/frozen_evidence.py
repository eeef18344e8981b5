"""Freezes the counts of the evidence at one moment, so that an index can be computed while more is ingested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from services.indicator.calendar import RECORD_DAYS, Calendar
from services.indicator.evidence import Evidence
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import DayEvidence, WindowCounts


@dataclass(frozen=True, slots=True, eq=False)
class FrozenEvidence:
    """The evidence as counted at one moment, so that an index can be computed while more is ingested.

    It holds windows that end at ``end_slot`` exclusive, and the days of the longest record, under one register.
    """

    calendar: Calendar
    arrays: RegisterArrays
    end_slot: int
    windows: Mapping[int, WindowCounts]
    past: Sequence[DayEvidence]

    @classmethod
    def of(cls, arrays: RegisterArrays, evidence: Evidence, end_slot: int) -> Self:
        """Count the register's windows as the evidence stands."""
        calendar, windows = evidence.calendar, arrays.windows_days
        return cls(
            calendar=calendar,
            arrays=arrays,
            end_slot=end_slot,
            windows={days: evidence.window(arrays, days, end_slot) for days in windows},
            past=tuple(evidence.days(arrays, calendar.window(max(RECORD_DAYS, *windows), end_slot))),
        )

    def window(self, arrays: RegisterArrays, days: int, end_slot: int) -> WindowCounts:
        """Return one window. Raises ValueError for another register or end, KeyError for a window not counted."""
        self._check(arrays, end_slot)
        return self.windows[days]

    def days(self, arrays: RegisterArrays, span: range) -> Iterator[DayEvidence]:
        """Yield the days of the whole span that was counted. Raises ValueError for another register or span."""
        if span:
            self._check(arrays, span.stop)
        days = [(day.toordinal(), len(slots)) for day, slots in self.calendar.days(span)]
        if days != [(day.day, day.slots) for day in self.past]:
            raise ValueError(f"slots {span.start} to {span.stop} are not the span that was counted")
        yield from self.past

    def _check(self, arrays: RegisterArrays, end_slot: int) -> None:
        if arrays is not self.arrays or end_slot != self.end_slot:
            raise ValueError(f"counted up to slot {self.end_slot} under register {self.arrays.register_version}")
