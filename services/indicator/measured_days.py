"""Counts whole days of evidence, each from its own rows alone (docs/method.md §2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np

from services.core.model import MeasurementColumns, Target
from services.indicator.array_types import Ints
from services.indicator.calendar import Calendar
from services.indicator.cells import EMPTY, MeasuredDay, TargetColumns, cells_of, stages


def measured_day(calendar: Calendar, day: date, batches: Iterable[MeasurementColumns]) -> MeasuredDay:
    """Count the admitted rows of one day. Neither their order nor repetitions matter.

    Of several measurements of a target by a vantage in a slot, one counts, as in ``Evidence``.
    """
    cells = DayCells(calendar, day)
    for batch in batches:
        cells.add(batch)
    counted = [stages(cells.of(vantage)) for vantage in cells.vantages]
    return MeasuredDay(day, cells.targets, cells.vantages, np.array(counted, np.int8).reshape(cells.shape))


class DayCells:
    """The cells of one day for the targets and vantages that were added, in the order in which they first appeared."""

    def __init__(self, calendar: Calendar, day: date) -> None:
        self._slot_seconds, slots = calendar.slot_seconds, calendar.slots_of(day)
        self._first, self._end, self._slots = max(slots.start, calendar.epoch_slot), slots.stop, slots
        self._columns = TargetColumns()
        self._cells: dict[str, Ints] = {}

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets added."""
        return tuple(self._columns.targets)

    @property
    def vantages(self) -> tuple[str, ...]:
        """The vantages added."""
        return tuple(self._cells)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The numbers of vantages, targets and slots."""
        return len(self._cells), len(self._columns.targets), len(self._slots)

    def add(self, batch: MeasurementColumns) -> tuple[Ints, Ints, Ints]:
        """Add the rows of the day; return their positions, places in the flat cells of the vantage, and own cells."""
        slot, offset = np.divmod(batch.slot_start, self._slot_seconds)
        rows = np.flatnonzero((offset == 0) & (slot >= self._first) & (slot < self._end))
        if not len(rows):
            return rows, rows, rows
        packed = cells_of(batch)[rows]
        column = self._columns.of(batch.targets)[batch.target[rows]]
        place = column * len(self._slots) + slot[rows] - self._slots.start
        np.minimum.at(self.of(batch.vantage).reshape(-1), place, packed)
        return rows, place, packed

    def of(self, vantage: str) -> Ints:
        """Return the cells (targets, slots) of a vantage, empty if it was not added yet."""
        _, targets, slots = self.shape
        kept = self._cells.get(vantage)
        if kept is None or len(kept) < targets:
            wide = np.full((targets, slots), EMPTY, np.int64)
            if kept is not None:
                wide[: len(kept)] = kept
            kept = self._cells[vantage] = wide
        return kept
