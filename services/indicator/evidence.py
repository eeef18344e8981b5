"""The evidence as it was counted at one moment, for indexes that are computed while more is taken in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from services.indicator.calendar import RECORD_DAYS, Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import DayEvidence, WindowCounts
from services.indicator.window import Evidence

__all__ = ["FrozenEvidence"]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenEvidence:
    """Windows that end at ``end_slot`` exclusive and the days they look back on, under one frame; nothing changes it."""

    calendar: Calendar
    frame: RegisterArrays
    end_slot: int
    windows: Mapping[int, WindowCounts]
    past: Sequence[DayEvidence]

    @classmethod
    def of(cls, frame: RegisterArrays, evidence: Evidence, end_slot: int) -> Self:
        """Count the frame's windows, as the evidence stands."""
        calendar, windows = evidence.calendar, frame.windows_days
        return cls(
            calendar=calendar,
            frame=frame,
            end_slot=end_slot,
            windows={days: evidence.window(frame, days, end_slot) for days in windows},
            past=tuple(evidence.days(frame, calendar.window(max(RECORD_DAYS, *windows), end_slot))),
        )

    def window(self, frame: RegisterArrays, days: int, end_slot: int) -> WindowCounts:
        """Return one of the windows. Raises ValueError for another frame or end, KeyError for a window not counted."""
        self._check(frame, end_slot)
        return self.windows[days]

    def days(self, frame: RegisterArrays, span: range) -> Iterator[DayEvidence]:
        """Yield what each day of the whole span counted holds. Raises ValueError for another frame or span."""
        if span:
            self._check(frame, span.stop)
        days = list(self.calendar.days(span))
        if [(day.toordinal(), len(slots)) for day, slots in days] != [(one.day, one.slots) for one in self.past]:
            raise ValueError(f"slots {span.start} to {span.stop} are not the span that was counted")
        yield from self.past

    def _check(self, frame: RegisterArrays, end_slot: int) -> None:
        if frame is not self.frame or end_slot != self.end_slot:
            raise ValueError(f"counted up to slot {self.end_slot} under register {self.frame.register_version}")
