"""Whole days of evidence, each counted by itself: the rows of a day are all that counting it takes (docs/method.md §2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from operator import attrgetter

import numpy as np

from services.core.model import MeasurementColumns
from services.indicator.array_types import Ints
from services.indicator.calendar import Calendar
from services.indicator.cells import EMPTY, MeasuredDay, TargetColumns, cells_of, stages
from services.indicator.evidence import Evidence


def measured_day(calendar: Calendar, day: date, batches: Iterable[MeasurementColumns]) -> MeasuredDay:
    """Count the rows of one day that were admitted. Their order does not matter, nor that some come twice.

    Of several measurements of a target by a vantage in a slot one counts, as in ``Evidence``.
    """
    slots = calendar.slots_of(day)
    columns, cells = TargetColumns(), dict[str, Ints]()
    for batch in batches:
        slot, offset = np.divmod(batch.slot_start, calendar.slot_seconds)
        first = max(slots.start, calendar.epoch_slot)
        rows = np.flatnonzero((offset == 0) & (slot >= first) & (slot < slots.stop))
        if len(rows):
            column = columns.of(batch.targets)[batch.target[rows]]
            kept = _wide(cells.get(batch.vantage), len(columns.targets), len(slots))
            np.minimum.at(kept.reshape(-1), column * len(slots) + slot[rows] - slots.start, cells_of(batch)[rows])
            cells[batch.vantage] = kept
    shape = len(columns.targets), len(slots)
    counted = [stages(_wide(kept, *shape)) for kept in cells.values()]
    return MeasuredDay(
        day, tuple(columns.targets), tuple(cells), np.array(counted, np.int8).reshape(len(counted), *shape)
    )


def _wide(cells: Ints | None, targets: int, slots: int) -> Ints:
    """Return cells (targets, slots), those that are there among them."""
    if cells is not None and len(cells) == targets:
        return cells
    wide = np.full((targets, slots), EMPTY, np.int64)
    if cells is not None:
        wide[: len(cells)] = cells
    return wide


def put_days(evidence: Evidence, days: Iterable[MeasuredDay]) -> None:
    """Close days that come in order; a day may come in parts, each of other targets or other vantages."""
    for _, parts in groupby(days, key=attrgetter("day")):
        evidence.put(tuple(parts))
