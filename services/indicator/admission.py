"""Which rows of a batch count, decided only by their own times and by when the bus stored them.

The time of storing is part of the stream, so a run that was interrupted and reads messages again decides in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Policy

_EARLY_PROBE_SECONDS = 1.0
"""How long before its slot a probe may begin: timers come early, and clocks are corrected."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The rows that count, and the number of others: ``late`` (docs/method.md §2, grace), ``early`` (of a slot to come), and
    ``misplaced`` (probed at a time outside their slot).
    """

    columns: MeasurementColumns
    late: int
    early: int
    misplaced: int


def admit(columns: MeasurementColumns, *, stored: float | NDArray[np.float64], policy: Policy) -> Admission:
    """Keep the rows stored by the end of their grace and not before their slot began, and probed in their slot.

    ``stored`` is in epoch seconds, of all rows or of each. A prober's clock may be ahead of the bus's by one slot. Rows stored
    when their slot must have settled are marked as delayed.
    """
    late = columns.slot_start + policy.slot_seconds + policy.grace_seconds < stored
    early = columns.slot_start > stored + policy.slot_seconds
    return _without(columns, late, early, stored=stored, policy=policy)


def admit_again(columns: MeasurementColumns, *, stored: NDArray[np.float64], policy: Policy) -> MeasurementColumns:
    """Like ``admit``, of rows that came in time under the policy then in force, whatever the grace is now."""
    none = np.zeros(len(columns), bool)
    return _without(columns, none, none, stored=stored, policy=policy).columns


def _without(
    columns: MeasurementColumns,
    late: NDArray[np.bool_],
    early: NDArray[np.bool_],
    *,
    stored: float | NDArray[np.float64],
    policy: Policy,
) -> Admission:
    from_start = columns.time - columns.slot_start * 1_000_000
    first, last = (int(seconds * 1_000_000) for seconds in probe_times(policy.slot_seconds))
    misplaced = ~late & ~early & (columns.time >= 0) & ((from_start < first) | (from_start > last))
    delayed = columns.slot_start + policy.slot_seconds + policy.prompt_seconds < stored
    if delayed.any():
        columns = replace(columns, delayed=delayed)
    left_out = late | early | misplaced
    if left_out.any():
        columns = columns.rows(np.flatnonzero(~left_out))
    return Admission(columns, int(late.sum()), int(early.sum()), int(misplaced.sum()))


def probe_times(slot_seconds: int) -> tuple[float, float]:
    """Return the first and the last time at which a probe of a slot may begin, in seconds from the slot's start.

    It is the slot and the longest timeout. A row that could claim an earlier time would count before all others.
    """
    return -_EARLY_PROBE_SECONDS, slot_seconds * 1.5


def closable(*, stored: float, policy: Policy) -> int:
    """Return the slot before which no row can be admitted, once everything stored up to ``stored`` was taken in."""
    return ceil((stored - policy.grace_seconds) / policy.slot_seconds) - 1
