"""One day of evidence, counted and with its causes, under one register (docs/method.md §6.2-6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from services.indicator.array_types import Bools, Counts
from services.indicator.verdicts.causes import CauseSums


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
