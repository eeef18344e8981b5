"""Measurements judged anew under other limits of latency and age (docs/method.md §7, Sensitivity). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Outcome, Reason, Register, Target

__all__ = ["TargetLimits", "rejudge"]


@dataclass(frozen=True, slots=True, eq=False)
class TargetLimits:
    """τ (``latency``) and φ (``age``) of the targets of a set of columns, (targets,) microseconds; -1 = not judged."""

    latency: NDArray[np.int64]
    age: NDArray[np.int64]

    @classmethod
    def of(cls, register: Register, targets: tuple[Target, ...]) -> TargetLimits:
        """Look them up. An endpoint, or a link that the register does not have, is not judged anew."""
        rows = [None if target.endpoint else register.links.get(target.id) for target in targets]
        return cls(
            latency=np.array([-1 if row is None else row.latency_ms * 1000 for row in rows], np.int64),
            age=np.array(
                [-1 if row is None or row.max_age_s is None else row.max_age_s * 1_000_000 for row in rows], np.int64
            ),
        )


def rejudge(columns: MeasurementColumns, limits: TargetLimits, *, latency: float, age: float) -> MeasurementColumns:
    """Return the columns as they would have been judged with τ times ``latency`` and φ times ``age``.

    Only what was right is judged anew, in the order of the stages: LATE, then STALE, then OK. A factor of 1 leaves a
    judgement as it is, so that both at 1 change nothing, whatever the limits were when it was made; but what is LATE
    no longer has its age judged for the first time. Where the latency or age is not known, or has no limit, the
    judgement stays. Raises ValueError when the columns were read without latencies and ages.
    """
    if columns.latency is None or columns.data_age is None:
        raise ValueError("these measurements were read without their latencies and ages")
    was_late, was_stale = columns.outcome == Outcome.LATE, columns.outcome == Outcome.STALE
    right = was_late | was_stale | (columns.outcome == Outcome.OK)
    late, stale = was_late, was_stale
    if latency != 1:
        limit = limits.latency[columns.target]
        late = np.where((columns.latency >= 0) & (limit >= 0), columns.latency > latency * limit, was_late)
    limit = limits.age[columns.target]
    judged = (columns.data_age >= 0) & (limit >= 0) & (was_late | (age != 1))
    stale = np.where(judged, columns.data_age > age * limit, was_stale)
    outcome = np.where(late, np.uint8(Outcome.LATE), np.where(stale, np.uint8(Outcome.STALE), np.uint8(Outcome.OK)))
    reason = np.where(late, np.uint8(Reason.LATE), np.where(stale, np.uint8(Reason.STALE), np.uint8(Reason.OK)))
    return replace(
        columns,
        outcome=np.where(right, outcome, columns.outcome).astype(np.uint8),
        reason=np.where(right, reason, columns.reason).astype(np.uint8),
    )
