"""The source of the counts that an index is computed from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts.counts import WindowCounts
from services.indicator.verdicts.day_evidence import DayEvidence

__all__ = ["EvidenceSource"]


class EvidenceSource(Protocol):
    """The source of an index: ``Evidence``, or ``FrozenEvidence``."""

    @property
    def calendar(self) -> Calendar:
        """Slots and days."""

    def window(self, arrays: RegisterArrays, days: int, end_slot: int) -> WindowCounts:
        """Count one window, as ``Evidence.window``."""

    def days(self, arrays: RegisterArrays, span: range) -> Iterator[DayEvidence]:
        """Yield what each day of a span holds, as ``Evidence.days``."""
