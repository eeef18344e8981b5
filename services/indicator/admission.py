"""Decides which rows of a batch count, only by their own times and the time at which the bus stored them.

The stream keeps the time of storing, so a run that was interrupted and reads messages again decides the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.core.model import OTHER_REASON, MeasurementColumns, Outcome, Policy, Reason

_EARLY_PROBE_SECONDS = 1.0
"""How long before its slot a probe may begin: timers fire early, and clocks are corrected."""

_NUMBERS: Final = 256
"""Outcomes and reasons are bytes."""

_OUTCOMES: Final = np.array(
    [number if number in list(Outcome) else Outcome.UNKNOWN for number in range(_NUMBERS)], dtype=np.uint8
)
_REASONS: Final = np.array(
    [
        [number if number in list(Reason) else OTHER_REASON[outcome] for number in range(_NUMBERS)]
        for outcome in map(Outcome, _OUTCOMES[: max(Outcome) + 1].tolist())
    ],
    dtype=np.uint8,
)
"""The outcome of each number, and by outcome the reason of each number. Only a newer prober sends other numbers."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The rows that count, and the numbers of those that do not.

    ``late`` rows came after the grace of their slot (docs/method.md §2). ``early`` rows belong to a future slot.
    ``misplaced`` rows were probed outside their slot.
    """

    columns: MeasurementColumns
    late: int
    early: int
    misplaced: int


def admit(columns: MeasurementColumns, *, stored: float | NDArray[np.float64], policy: Policy) -> Admission:
    """Keep the rows that were probed in their slot and stored after its start and before the end of its grace.

    ``stored`` is in epoch seconds, one value for all rows or one for each. Rows may be stored up to one slot early,
    because a prober's clock may be ahead of the bus's. Rows stored after their slot must have settled are marked as
    delayed. Outcomes and reasons that only a newer prober knows become UNKNOWN, and another reason of the same outcome.
    """
    late = columns.slot_start + policy.slot_seconds + policy.grace_seconds < stored
    early = columns.slot_start > stored + policy.slot_seconds
    return _without(columns, late, early, stored=stored, policy=policy)


def admit_again(columns: MeasurementColumns, *, stored: NDArray[np.float64], policy: Policy) -> MeasurementColumns:
    """Admit rows that were in time under the policy then in force: like ``admit``, but whatever the grace is now."""
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
    return Admission(_with_known_numbers(columns), int(late.sum()), int(early.sum()), int(misplaced.sum()))


def _with_known_numbers(columns: MeasurementColumns) -> MeasurementColumns:
    outcome = _OUTCOMES[columns.outcome]
    reason = _REASONS[outcome, columns.reason]
    if (outcome == columns.outcome).all() and (reason == columns.reason).all():
        return columns
    return replace(columns, outcome=outcome, reason=reason)


def probe_times(slot_seconds: int) -> tuple[float, float]:
    """Return the first and the last time at which a probe of a slot may begin, in seconds from the slot's start.

    The span covers the slot and the longest timeout. A row that could claim an earlier time would win over all others.
    """
    return -_EARLY_PROBE_SECONDS, slot_seconds * 1.5


def closable(*, stored: float, policy: Policy) -> int:
    """Return the slot before which no row can be admitted, once everything stored up to ``stored`` was read."""
    return ceil((stored - policy.grace_seconds) / policy.slot_seconds) - 1
