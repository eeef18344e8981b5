"""Which rows of a batch count, decided by when the bus stored it and by nothing else.

The moment of storing is part of the stream, so a run that was interrupted and takes messages in again decides alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns

__all__ = ["Admission", "admit", "closable"]


@dataclass(frozen=True, slots=True)
class Admission:
    """The rows that count, and how many do not: ``late`` (docs/method.md §2, grace), ``early`` (a slot in the future)."""

    columns: MeasurementColumns
    late: int
    early: int


def admit(
    columns: MeasurementColumns, *, stored: float | NDArray[np.float64], slot_seconds: int, grace: float
) -> Admission:
    """Keep the rows stored at most ``grace`` seconds after their slot's end, and not before their slot began.

    ``stored`` in epoch seconds, of all rows or of each. A clock may be ahead of the bus's by one slot.
    """
    late = columns.slot_start + slot_seconds + grace < stored
    early = columns.slot_start > stored + slot_seconds
    out = late | early
    if not out.any():
        return Admission(columns, 0, 0)
    return Admission(columns.rows(np.flatnonzero(~out)), int(late.sum()), int(early.sum()))


def closable(*, stored: float, slot_seconds: int, grace: float) -> int:
    """Return the slot before which no row can be admitted any more, once everything up to ``stored`` was taken in."""
    return ceil((stored - grace) / slot_seconds) - 1
