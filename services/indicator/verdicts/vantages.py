"""Counts the measurements that each vantage owed over the last hours, and those that arrived, slot by slot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from services.core.model import OWN_REASONS, Outcome, Reason, VantageHealth
from services.indicator.array_types import Ints
from services.indicator.cells import outcomes, reasons
from services.indicator.register_arrays import RegisterArrays

SPAN_SECONDS: Final = 6 * 3600
"""Long enough that one failed slot is a small share, and short enough to describe the present."""

MOST_SLOTS: Final = 1000
"""The most slots of the span, where slots are shorter than usual: each is kept, and all are summed for every index."""

COLUMNS: Final = 2 + len(OWN_REASONS)
"""Expected and delivered measurements, then those that are UNKNOWN by OWN_REASONS."""

_OWN: Final = np.array(OWN_REASONS, dtype=np.int64)

SlotCounts = Callable[[int], Ints]
"""Counts a slot: (vantages, COLUMNS)."""


def count_cells(expected: int, cells: Ints) -> Ints:
    """Count the cells of one vantage in one slot, which may be fewer than the ``expected`` ones: (COLUMNS,)."""
    by_reason = np.bincount(reasons(cells[outcomes(cells) == Outcome.UNKNOWN]), minlength=int(max(Reason)) + 1)
    delivered = len(cells) - int(by_reason[Reason.NO_MEASUREMENT])
    return np.concatenate([[expected, delivered], by_reason[_OWN]]).astype(np.int64)


class VantageCounter:
    """Counts of the register's vantages, updated as slots arrive and change."""

    def __init__(self, slot_seconds: int) -> None:
        self._length = min(max(1, SPAN_SECONDS // slot_seconds), MOST_SLOTS)
        self._arrays: RegisterArrays | None = None
        self._counts: dict[int, Ints] = {}
        self.slots = range(0)
        """The slots that are counted."""

    def pieces(
        self, arrays: RegisterArrays, slots: range, changed: Collection[int], count: SlotCounts
    ) -> Iterator[None]:
        """Count the last of these slots, one at a time; ``changed`` ones are counted again, and all with a new register."""
        if arrays is not self._arrays:
            self._arrays, self._counts = arrays, {}
        self.slots = slots[-self._length :]
        self._counts = {
            slot: counts for slot, counts in self._counts.items() if slot in self.slots and slot not in changed
        }
        for slot in self.slots:
            if slot not in self._counts:
                self._counts[slot] = count(slot)
                yield

    def health(self, vantages: Sequence[str], newest_slots: Mapping[str, float]) -> tuple[VantageHealth, ...]:
        """Return the sums over all slots; ``vantages`` are the register's, ``newest_slots`` start in epoch seconds."""
        counts = list(self._counts.values())
        total = np.sum(counts, axis=0) if counts else np.zeros((len(vantages), COLUMNS), dtype=np.int64)
        return tuple(
            VantageHealth(
                vantage=vantage,
                expected=expected,
                delivered=delivered,
                unknown=tuple((reason, count) for reason, count in zip(OWN_REASONS, own, strict=True) if count),
                newest_slot=int(newest_slots[vantage]) if vantage in newest_slots else None,
            )
            for vantage, (expected, delivered, *own) in zip(vantages, total.tolist(), strict=True)
        )
