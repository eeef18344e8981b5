"""Slots in detail: a cell per vantage and target, and which column each target has (docs/method.md §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Target
from services.indicator.cells.packing import EMPTY, pack_cells

__all__ = ["LoadCells", "SlotCells", "TargetColumns"]


class TargetColumns:
    """Targets in the order they were first heard of: each keeps its column for good, whether a register knows it or not."""

    def __init__(self, targets: Sequence[Target] = ()) -> None:
        self.targets: list[Target] = []
        self._of_links: dict[str, int] = {}
        self._of_endpoints: dict[str, int] = {}
        self._last: tuple[Sequence[Target], NDArray[np.int64]] = ((), np.zeros(0, dtype=np.int64))
        self._longest = self._last
        self.of(targets)

    def of(self, targets: Sequence[Target]) -> NDArray[np.int64]:
        """Return the column of each target, read-only; one not heard of before gets the next."""
        # Of a batch several ask in turn, and of all that a register names again and again; looking up a million names
        # misses the processor's cache every time.
        for asked, columns in (self._last, self._longest):
            if asked is targets:
                return columns
        links, endpoints = self._of_links, self._of_endpoints
        columns = np.array(
            [(endpoints if target.endpoint else links).get(target.id, -1) for target in targets], dtype=np.int64
        )
        for at in np.flatnonzero(columns < 0).tolist():
            target = targets[at]
            columns[at] = (endpoints if target.endpoint else links).setdefault(target.id, len(self.targets))
            if columns[at] == len(self.targets):
                self.targets.append(target)
        columns.flags.writeable = False
        if isinstance(targets, tuple):
            self._last = targets, columns
            if len(targets) >= len(self._longest[0]):
                self._longest = self._last
        return columns


LoadCells = Callable[[], NDArray[np.int64]]
"""Reads the cells of one slot that were put away, as they were then."""


class SlotCells:
    """Slots as int64 arrays (vantages, targets), rows and columns in the order vantages and targets were first heard of.

    Slots that are saved may be put away: they are
    loaded whenever they are looked at, and come back when they change.
    """

    def __init__(self, targets: Sequence[Target] = (), vantages: Sequence[str] = ()) -> None:
        self.columns = TargetColumns(targets)
        self.targets = self.columns.targets
        self.vantages: list[str] = list(vantages)
        self._cells: dict[int, NDArray[np.int64]] = {}
        self._away: dict[int, LoadCells] = {}

    def __iter__(self) -> Iterator[int]:
        yield from self._cells
        yield from self._away

    def __contains__(self, slot: int) -> bool:
        return slot in self._cells or slot in self._away

    def __getitem__(self, slot: int) -> NDArray[np.int64]:
        """Return the slot's cells, to be changed, wide enough for every vantage and target heard of; new if there are none."""
        cells = self._cells[slot] = self.read(slot)
        self._away.pop(slot, None)
        return cells

    def __setitem__(self, slot: int, cells: NDArray[np.int64]) -> None:
        self._cells[slot] = np.array(cells, dtype=np.int64)

    def __delitem__(self, slot: int) -> None:
        self._cells.pop(slot, None)
        self._away.pop(slot, None)

    def read(self, slot: int) -> NDArray[np.int64]:
        """Return the slot's cells as wide as ``self[slot]``, only to be looked at: a slot put away stays there."""
        cells = self._cells.get(slot)
        if cells is None:
            load = self._away.get(slot)
            cells = np.zeros((0, 0), dtype=np.int64) if load is None else load()
        shape = (len(self.vantages), len(self.targets))
        if cells.shape != shape:
            room = [(0, wanted - there) for wanted, there in zip(shape, cells.shape, strict=True)]
            cells = np.pad(cells, room, constant_values=EMPTY)
        return cells

    def oldest(self, room: int) -> list[int]:
        """Return the slots at hand without which the newer ones take up no more than ``room`` bytes, ascending."""
        found = []
        for slot in sorted(self._cells, reverse=True):
            room -= self._cells[slot].nbytes
            if room < 0:
                found.append(slot)
        return found[::-1]

    def put_away(self, slots: Mapping[int, LoadCells]) -> None:
        """Put slots away, each of which says how it is loaded when it is looked at."""
        for slot, load in slots.items():
            self._cells.pop(slot, None)
            self._away[slot] = load

    def merge(
        self, batch: MeasurementColumns, rows: NDArray[np.int64], slots: NDArray[np.int64]
    ) -> dict[int, NDArray[np.int64]]:
        """Merge some rows of a batch into the slots (len(rows),) they name; return, of those that changed, in which columns."""
        if not len(rows):
            return {}
        if batch.vantage not in self.vantages:
            self.vantages.append(batch.vantage)
        vantage = self.vantages.index(batch.vantage)
        columns = self.columns.of(batch.targets)
        changed: dict[int, NDArray[np.int64]] = {}
        # Slot by slot, so that a file of a month needs neither a look at all of it per slot nor room for all its cells.
        order = np.argsort(slots, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(slots[order])) + 1):
            slot, here = int(slots[part[0]]), rows[part]
            kept, column = self[slot][vantage], columns[batch.target[here]]
            before = kept[column]
            cells = pack_cells(batch.slot_start[here], batch.time[here], batch.outcome[here], batch.reason[here])
            np.minimum.at(kept, column, cells)
            differs = kept[column] != before
            if differs.any():
                changed[slot] = column[differs]
        return changed
