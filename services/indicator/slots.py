"""Slots in detail: a cell per vantage and target (INDICATOR.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import MeasurementColumns, Target
from services.indicator.cells import EMPTY, pack

__all__ = ["Slots"]


class Slots:
    """Slots as int64 arrays (vantages, targets), rows and columns in the order vantages and targets were first heard of.

    Targets keep their column for good, whether a register knows them or not.
    """

    def __init__(self, targets: Sequence[Target] = (), vantages: Sequence[str] = ()) -> None:
        self.targets: list[Target] = []
        self.vantages: list[str] = list(vantages)
        self._column: dict[tuple[str, bool], int] = {}
        self._cells: dict[int, NDArray[np.int64]] = {}
        self.columns_of(targets)

    def __iter__(self) -> Iterator[int]:
        return iter(self._cells)

    def __contains__(self, slot: int) -> bool:
        return slot in self._cells

    def __getitem__(self, slot: int) -> NDArray[np.int64]:
        """Return the slot's cells, wide enough for every vantage and target heard of; made when there are none."""
        shape = (len(self.vantages), len(self.targets))
        cells = self._cells.get(slot)
        if cells is None:
            cells = self._cells[slot] = np.full(shape, EMPTY, dtype=np.int64)
        elif cells.shape != shape:
            room = [(0, wanted - there) for wanted, there in zip(shape, cells.shape, strict=True)]
            cells = self._cells[slot] = np.pad(cells, room, constant_values=EMPTY)
        return cells

    def __setitem__(self, slot: int, cells: NDArray[np.int64]) -> None:
        self._cells[slot] = np.array(cells, dtype=np.int64)

    def __delitem__(self, slot: int) -> None:
        del self._cells[slot]

    def columns_of(self, targets: Sequence[Target]) -> NDArray[np.int64]:
        """Return the column of each target; one not heard of before gets the next."""
        columns = []
        for target in targets:
            key = (target.id, target.endpoint)
            column = self._column.get(key)
            if column is None:
                column = self._column[key] = len(self.targets)
                self.targets.append(target)
            columns.append(column)
        return np.array(columns, dtype=np.int64)

    def merge(self, batch: MeasurementColumns, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> set[int]:
        """Merge some rows of a batch into the slots (len(rows),) they name; return those in which a cell changed."""
        if not len(rows):
            return set()
        if batch.vantage not in self.vantages:
            self.vantages.append(batch.vantage)
        vantage = self.vantages.index(batch.vantage)
        columns = self.columns_of(batch.targets)
        changed: set[int] = set()
        # Slot by slot, so that a file of a month needs neither a look at all of it per slot nor room for all its cells.
        order = np.argsort(slots, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(slots[order])) + 1):
            slot, here = int(slots[part[0]]), rows[part]
            kept, column = self[slot][vantage], columns[batch.target[here]]
            before = kept[column]
            cells = pack(batch.slot_start[here], batch.time[here], batch.outcome[here], batch.reason[here])
            np.minimum.at(kept, column, cells)
            if (kept[column] != before).any():
                changed.add(slot)
        return changed
