"""Slots in detail: a cell per vantage and target, and the columns of targets (docs/method.md §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from services.core.model import MeasurementColumns, Target
from services.indicator.array_types import Ints
from services.indicator.cells.packing import EMPTY, cells_of


class TargetColumns:
    """The columns of targets, in the order the targets first appeared; a column never changes."""

    def __init__(self, targets: Sequence[Target] = ()) -> None:
        self.targets: list[Target] = []
        self._of_links: dict[str, int] = {}
        self._of_endpoints: dict[str, int] = {}
        self._last: tuple[Sequence[Target], Ints] = ((), np.zeros(0, dtype=np.int64))
        self._longest = self._last
        self.of(targets)

    def of(self, targets: Sequence[Target]) -> Ints:
        """Return the column of each target, read-only; a new target gets the next column."""
        columns = self.find(targets)
        missing = np.flatnonzero(columns < 0)
        if not len(missing):
            return columns
        columns = columns.copy()
        for position in missing.tolist():
            target = targets[position]
            known = self._of_endpoints if target.endpoint else self._of_links
            columns[position] = known.setdefault(target.id, len(self.targets))
            if columns[position] == len(self.targets):
                self.targets.append(target)
        return self._cached(targets, columns)

    def find(self, targets: Sequence[Target]) -> Ints:
        """Return the column of each target, read-only; -1 for a target without one."""
        # A batch is looked up several times in a row, and a register's targets again and again; looking up a million
        # names misses the processor's cache every time.
        for cached, columns in (self._last, self._longest):
            if cached is targets:
                return columns
        links, endpoints = self._of_links, self._of_endpoints
        found = np.array(
            [(endpoints if target.endpoint else links).get(target.id, -1) for target in targets], dtype=np.int64
        )
        return self._cached(targets, found)

    def known(self, batch: MeasurementColumns) -> MeasurementColumns:
        """Return the rows of a batch whose targets have a column."""
        has_column = self.find(batch.targets) >= 0
        if has_column.all():
            return batch
        rows = batch.rows(np.flatnonzero(has_column[batch.target]))
        used, target = np.unique(rows.target, return_inverse=True)
        return replace(rows, targets=tuple(batch.targets[position] for position in used.tolist()), target=target)

    def _cached(self, targets: Sequence[Target], columns: Ints) -> Ints:
        columns.flags.writeable = False
        if isinstance(targets, tuple) and (columns >= 0).all():
            self._last = targets, columns
            if len(targets) >= len(self._longest[0]):
                self._longest = self._last
        return columns


LoadCells = Callable[[], Ints]
"""Reads the cells of one slot that was put away."""


class SlotCells:
    """Slots as int64 arrays (vantages, targets), in the order vantages and targets first appeared.

    Slots that are saved may be put away: they are loaded whenever they are read, and come back when they change.
    """

    def __init__(self, targets: Sequence[Target] = (), vantages: Sequence[str] = ()) -> None:
        self.columns = TargetColumns(targets)
        self.targets = self.columns.targets
        self.vantages: list[str] = list(vantages)
        self._cells: dict[int, Ints] = {}
        self._away: dict[int, LoadCells] = {}

    def __iter__(self) -> Iterator[int]:
        # Copies, since another thread may put slots away or load them meanwhile.
        return iter((*self._cells, *self._away))

    def __contains__(self, slot: int) -> bool:
        return slot in self._cells or slot in self._away

    def __getitem__(self, slot: int) -> Ints:
        """Return the slot's cells, writable and wide enough for every vantage and target; new if there are none."""
        cells = self._cells[slot] = self.read(slot)
        self._away.pop(slot, None)
        return cells

    def __setitem__(self, slot: int, cells: Ints) -> None:
        self._cells[slot] = np.array(cells, dtype=np.int64)

    def __delitem__(self, slot: int) -> None:
        self._cells.pop(slot, None)
        self._away.pop(slot, None)

    def read(self, slot: int) -> Ints:
        """Return the slot's cells as wide as ``self[slot]``, for reading only: a slot put away stays there."""
        cells = self._cells.get(slot)
        if cells is None:
            load = self._away.get(slot)
            cells = np.zeros((0, 0), dtype=np.int64) if load is None else load()
        shape = (len(self.vantages), len(self.targets))
        if cells.shape != shape:
            # np.pad does the same, but needs many times as long for an array as small as a slot of a few targets.
            wider = np.full(shape, EMPTY, dtype=np.int64)
            wider[: cells.shape[0], : cells.shape[1]] = cells
            cells = wider
        return cells

    def oldest(self, room: int) -> list[int]:
        """Return the slots in memory, ascending, beyond the newest ones that take up to ``room`` bytes."""
        newest_first = sorted(self._cells, reverse=True)
        used = np.cumsum([self._cells[slot].nbytes for slot in newest_first])
        return newest_first[int(np.searchsorted(used, room, side="right")) :][::-1]

    def put_away(self, slots: Mapping[int, LoadCells]) -> None:
        """Put slots away, each with the function that loads it again."""
        for slot, load in slots.items():
            self._away[slot] = load
            self._cells.pop(slot, None)

    def row_of(self, vantage: str) -> int:
        """Return the row of a vantage; a new one gets the next."""
        if vantage not in self.vantages:
            self.vantages.append(vantage)
        return self.vantages.index(vantage)

    def merge(self, batch: MeasurementColumns, rows: Ints, slots: Ints) -> dict[int, Ints]:
        """Merge some rows of a batch into their ``slots`` (len(rows),); return the slots that changed, with the columns."""
        if not len(rows):
            return {}
        vantage = self.row_of(batch.vantage)
        columns, cells = self.columns.of(batch.targets), cells_of(batch)
        changed: dict[int, Ints] = {}
        # Slot by slot, so that a month in one batch is neither scanned once per slot nor expanded to all its cells at once.
        order = np.argsort(slots, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(slots[order])) + 1):
            slot, of_slot = int(slots[part[0]]), rows[part]
            kept, column = self[slot][vantage], columns[batch.target[of_slot]]
            before = kept[column]
            np.minimum.at(kept, column, cells[of_slot])
            differs = kept[column] != before
            if differs.any():
                changed[slot] = column[differs]
        return changed
