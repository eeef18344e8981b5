"""Measurements judged and windows counted with other limits of latency and age (docs/method.md §7). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from services.core.model import MeasurementColumns, Outcome, Reason, Register, Target
from services.indicator.array_types import Ints
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.measured_days import measured_day
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import WindowCounts


@dataclass(frozen=True, slots=True, eq=False)
class TargetLimits:
    """The limits τ (``latency``) and φ (``age``) of targets, (targets,) in microseconds; -1 = not judged."""

    latency: Ints
    age: Ints

    @classmethod
    def of(cls, register: Register, targets: tuple[Target, ...]) -> TargetLimits:
        """Look up the limits. Endpoints, and links that the register does not have, have none."""
        rows = [None if target.endpoint else register.links.get(target.id) for target in targets]
        return cls(
            latency=np.array([-1 if row is None else row.latency_ms * 1000 for row in rows], np.int64),
            age=np.array(
                [-1 if row is None or row.max_age_s is None else row.max_age_s * 1_000_000 for row in rows], np.int64
            ),
        )


def rejudge(columns: MeasurementColumns, limits: TargetLimits, *, latency: float, age: float) -> MeasurementColumns:
    """Return the columns as they would have been judged with τ times ``latency`` and φ times ``age``.

    Only right answers are judged again, in the order of the stages: LATE, then STALE, then OK. A factor of 1 keeps a
    judgement, so that both at 1 change nothing, whatever the limits were when it was made; but the age of an answer that
    is no longer LATE is judged for the first time. Where the latency or age is not known, or has no limit, the judgement
    stays. Raises ValueError when the columns were read without latencies and ages.
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


def recount_days(
    register: Register,
    arrays: RegisterArrays,
    batches: Callable[[date], Iterable[MeasurementColumns]],
    *,
    end_slot: int,
    windows: Sequence[int],
    factors: Sequence[float],
) -> dict[tuple[float, float, int], WindowCounts]:
    """Count every window that ends at ``end_slot`` with τ and φ times every pair of factors.

    ``batches`` returns those with measurements of a day, with latencies and ages. Windows are counted by ``Evidence``, as live
    ones are: each pair of factors has its own, closed day by day, so that only the measurements of one day are in memory.
    """
    calendar = Calendar.of(register.policy)
    pairs = {(latency, age): Evidence(calendar) for latency in factors for age in factors}
    for evidence in pairs.values():
        evidence.columns.of(register.targets)
    for day, _ in calendar.days(max((calendar.window(days, end_slot) for days in windows), key=len)):
        of_day = [(columns, TargetLimits.of(register, columns.targets)) for columns in batches(day)]
        for (latency, age), evidence in pairs.items():
            judged = (rejudge(columns, limits, latency=latency, age=age) for columns, limits in of_day)
            evidence.put((measured_day(calendar, day, judged),))
    return {
        (latency, age, days): evidence.window(arrays, days, end_slot)
        for (latency, age), evidence in pairs.items()
        for days in windows
    }


def by_day(batches: Sequence[MeasurementColumns], calendar: Calendar) -> Callable[[date], Iterable[MeasurementColumns]]:
    """Return a function that returns the rows of a day out of batches of any days."""
    orders = [np.argsort(columns.slot_start, kind="stable") for columns in batches]

    def of_day(day: date) -> Iterator[MeasurementColumns]:
        slots = calendar.slots_of(day)
        edges = np.array([slots.start, slots.stop]) * calendar.slot_seconds
        for columns, order in zip(batches, orders, strict=True):
            begin, end = np.searchsorted(columns.slot_start, edges, sorter=order)
            if begin < end:
                yield columns.rows(order[begin:end])

    return of_day
