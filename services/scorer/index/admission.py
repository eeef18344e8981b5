"""Which rows of a batch count, decided only by when the bus stored it.

The time of storing is part of the stream, so a run that was interrupted and reads messages again decides in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns


@dataclass(frozen=True, slots=True)
class Admission:
    """The rows that count, and the number of others: ``late`` (docs/method.md §2, grace) and ``early`` (of a future slot)."""

    columns: MeasurementColumns
    late: int
    early: int


def admit(
    columns: MeasurementColumns, *, stored: float | NDArray[np.float64], slot_seconds: int, grace: float
) -> Admission:
    """Keep the rows stored at most ``grace`` seconds after their slot's end, and not before their slot began.

    ``stored`` is in epoch seconds, of all rows or of each. A prober's clock may be ahead of the bus's by one slot.
    """
    late = columns.slot_start + slot_seconds + grace < stored
    early = columns.slot_start > stored + slot_seconds
    left_out = late | early
    if not left_out.any():
        return Admission(columns, 0, 0)
    return Admission(columns.rows(np.flatnonzero(~left_out)), int(late.sum()), int(early.sum()))


def closable(*, stored: float, slot_seconds: int, grace: float) -> int:
    """Return the slot before which no row can be admitted, once everything stored up to ``stored`` was taken in."""
    return ceil((stored - grace) / slot_seconds) - 1
