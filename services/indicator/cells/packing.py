"""Packs measurements into integers, so that the smallest of several is the one that counts (docs/method.md §2)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Outcome, Reason
from services.indicator.array_types import Codes, Ints

# A cell is the measurement of one target by one vantage in one slot, as one int64:
#   delayed (1 bit) · UNKNOWN (1 bit) · start of the probe (50 bits) · outcome (3 bits) · reason (8 bits)
# Of several measurements the smallest counts, which is the rule of §2: one that was stored in time before one that was not,
# a known one before UNKNOWN, then the earliest time, then the lowest stage. A minimum depends neither on order nor on
# repetition. The reason comes last, so that measurements that differ in nothing else also merge the same way everywhere.
_REASON_BITS: Final = 8
_OUTCOME_BITS: Final = 3
_TIME_BITS: Final = 50
_TIME_SHIFT: Final = _REASON_BITS + _OUTCOME_BITS
_UNKNOWN: Final = 1 << (_TIME_SHIFT + _TIME_BITS)
_DELAYED: Final = _UNKNOWN << 1
_TIME_UNSET: Final = (1 << _TIME_BITS) - 1
_TIME_ZERO: Final = 1 << (_TIME_BITS - 1)

EMPTY: Final = int(np.iinfo(np.int64).max)
"""The cell of a vantage without a measurement."""


def cells_of(batch: MeasurementColumns) -> Ints:
    """Return the cells of a batch's rows (n,).

    Times are kept to the microsecond within 17 years of the slot; an unset one counts as the latest. An outcome outside
    the enum is UNKNOWN: an unreadable measurement is never a failure of the target.
    """
    known = (batch.outcome >= Outcome.NOT_CONNECTED) & (batch.outcome <= Outcome.OK)
    code = np.where(known, batch.outcome, np.uint8(Outcome.UNKNOWN)).astype(np.int64)
    offset = np.clip(batch.time - batch.slot_start * 1_000_000 + _TIME_ZERO, 0, _TIME_UNSET - 1)
    offset = np.where(batch.time < 0, _TIME_UNSET, offset)
    unknown = np.where(known, np.int64(0), np.int64(_UNKNOWN))
    cells: Ints = unknown | (offset << _TIME_SHIFT) | (code << _REASON_BITS) | batch.reason
    return cells if batch.delayed is None else np.where(batch.delayed, cells | _DELAYED, cells)


def precedence(cells: Ints) -> Ints:
    """Return the keys by which one of several cells counts, the smallest, before stages decide; the shape stays."""
    return cells >> _TIME_SHIFT


def stages(cells: Ints) -> Codes:
    """Return the stage in each cell, -1 where unknown; the shape stays."""
    reached = ((cells >> _REASON_BITS) & 0b111) - Outcome.NOT_CONNECTED
    return np.where(cells & _UNKNOWN, -1, reached).astype(np.int8)


def outcomes(cells: Ints) -> NDArray[np.uint8]:
    """Return the outcome in each cell (Outcome), UNKNOWN where there is none; the shape stays."""
    return np.where(cells == EMPTY, Outcome.UNKNOWN, (cells >> _REASON_BITS) & 0b111).astype(np.uint8)


def reasons(cells: Ints) -> NDArray[np.uint8]:
    """Return the reason in each cell (Reason), NO_MEASUREMENT where there is none; the shape stays."""
    return np.where(cells == EMPTY, Reason.NO_MEASUREMENT, cells & 0xFF).astype(np.uint8)
