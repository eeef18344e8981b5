"""The evidence that an index is computed from: counted windows, and days with their causes, under one register."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from services.indicator.array_types import Bools, Counts
from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts.causes import CauseSums
from services.indicator.verdicts.counts import WindowCounts


@dataclass(frozen=True, slots=True)
class DayEvidence:
    """One day of a span of slots, judged under a register of n links.

    ``day`` is its ordinal and ``slots`` the number of its slots in the span. ``tally`` (6, n) counts each link's slots by
    stage; ``live`` (n,) marks the links that are in force and live that day. ``causes`` are in the order of
    ``cause_states`` and hold no slots of other links. The arrays are shared and must not be changed.
    """

    day: int
    slots: int
    tally: Counts
    live: Bools
    causes: CauseSums

    def counts(self, stage: int) -> Counts:
        """Return the known slots (n,) of live links at a stage; computed at every call, to save memory."""
        counts: Counts = self.tally[stage] * self.live
        return counts


class EvidenceSource(Protocol):
    """The source of an index: ``Evidence``, or ``FrozenEvidence``."""

    @property
    def calendar(self) -> Calendar:
        """The calendar of the slots and days."""

    def window(self, arrays: RegisterArrays, days: int, end_slot: int) -> WindowCounts:
        """Count one window, like ``Evidence.window``."""

    def days(self, arrays: RegisterArrays, span: range) -> Iterator[DayEvidence]:
        """Yield the evidence of each day of a span, like ``Evidence.days``."""
