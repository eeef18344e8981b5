"""Freezes the counts of the evidence at one moment, so that an index can be computed while more is ingested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from services.indicator.calendar import RECORD_DAYS, Calendar
from services.indicator.evidence import Evidence
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import DayEvidence, WindowCounts


@dataclass(frozen=True, slots=True, eq=False)
class FrozenEvidence:
    """The evidence as counted at one moment, under one register.

    ``windows``, by their length in days, end at ``end_slot`` exclusive. ``past`` are the days of the longest record.
    """

    calendar: Calendar
    arrays: RegisterArrays
    end_slot: int
    windows: Mapping[int, WindowCounts]
    past: Sequence[DayEvidence]

    @classmethod
    def of(
        cls, arrays: RegisterArrays, evidence: Evidence, end_slot: int, windows: Sequence[int] | None = None
    ) -> Self:
        """Count windows as the evidence stands; by default they are the register's."""
        calendar, windows = evidence.calendar, arrays.windows_days if windows is None else windows
        return cls(
            calendar=calendar,
            arrays=arrays,
            end_slot=end_slot,
            windows={days: evidence.window(arrays, days, end_slot) for days in windows},
            past=tuple(evidence.days(arrays, calendar.window(max(RECORD_DAYS, *windows), end_slot))),
        )
