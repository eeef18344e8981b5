"""Whole days of evidence, each counted by itself: whoever has the rows of a day counts them anywhere (docs/method.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from services.core.model import MeasurementColumns, Target
from services.indicator.array_types import Codes, Ints
from services.indicator.calendar import Calendar
from services.indicator.cells import EMPTY, DayState, TargetColumns, cells_of, stages
from services.indicator.evidence import Evidence

_LEVEL: Final = 1
"""Of zlib, for days that are packed to be counted once: a quarter of the time that a scorer takes for those that it keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredDay:
    """The stage that each target reached in each slot of a day: int8 (vantages, targets, slots), -1 = unknown.

    No register is applied yet.
    """

    day: date
    targets: tuple[Target, ...]
    vantages: tuple[str, ...]
    stages: Codes


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


def restored(calendar: Calendar, days: Iterable[MeasuredDay]) -> Evidence:
    """Return the evidence of days that came in order; a day may come in parts, each of other targets or other vantages."""
    columns, vantages = TargetColumns(), dict[str, int]()
    packed = [_packed(calendar, parts, columns, vantages) for parts in _by_day(days)]
    return Evidence.restore(calendar, targets=columns.targets, vantages=tuple(vantages), slots=(), days=packed)


def _by_day(days: Iterable[MeasuredDay]) -> Iterator[list[MeasuredDay]]:
    parts: list[MeasuredDay] = []
    for one in days:
        if parts and parts[0].day != one.day:
            yield parts
            parts = []
        parts.append(one)
    if parts:
        yield parts


def _packed(
    calendar: Calendar, parts: Sequence[MeasuredDay], columns: TargetColumns, vantages: dict[str, int]
) -> DayState:
    """Pack a day, by the columns of all targets and the rows of all vantages so far; new ones are added to both."""
    places = []
    for part in parts:
        for vantage in part.vantages:
            vantages.setdefault(vantage, len(vantages))
        places.append((np.array([vantages[vantage] for vantage in part.vantages], np.int64), columns.of(part.targets)))
    day = parts[0].day
    reached = np.full((len(vantages), len(columns.targets), len(calendar.slots_of(day))), -1, np.int8)
    for part, (row, column) in zip(parts, places, strict=True):
        reached[np.ix_(row, column)] = part.stages
    return DayState.pack(day, reached, level=_LEVEL)
