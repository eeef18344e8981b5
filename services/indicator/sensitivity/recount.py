"""Windows counted with other limits of latency and age, by the code that counts them live (docs/method.md §7). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Register
from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity.rejudge import TargetLimits, rejudge
from services.indicator.verdicts import WindowCounts
from services.indicator.window import Evidence

__all__ = ["recount_dump"]

CHUNK_SLOTS: Final = 16
"""Slots judged anew at a time: evidence looks at the whole of a batch once for each slot in it."""


def recount_dump(
    register: Register,
    arrays: RegisterArrays,
    batches: Sequence[MeasurementColumns],
    *,
    end_slot: int,
    windows: Sequence[int],
    factors: Sequence[float],
) -> dict[tuple[float, float, int], WindowCounts]:
    """Count every window that ends at ``end_slot`` with τ and φ times every pair of factors.

    ``batches`` must have latencies and ages. Every pair has an evidence of its own, closed day by day, so that the
    detail of one day at a time is in memory.
    """
    calendar = Calendar.of(register.policy)
    pairs = {(latency, age): Evidence(calendar) for latency in factors for age in factors}
    span = max((calendar.window(days, end_slot) for days in windows), key=len)
    rows = [_Rows.of(register, columns) for columns in batches]
    for day in _days(calendar, span):
        for start in range(day.start, day.stop, CHUNK_SLOTS):
            chunk = range(start, min(start + CHUNK_SLOTS, day.stop))
            for one in rows:
                columns = one.of_slots(chunk, calendar.slot_seconds)
                for (latency, age), evidence in pairs.items():
                    evidence.take(rejudge(columns, one.limits, latency=latency, age=age))
        for evidence in pairs.values():
            evidence.close(day.stop)
            evidence.drop(detail_before=day.stop, days_before=calendar.day_of(span.start))
    return {
        (latency, age, days): evidence.window(arrays, days, end_slot)
        for (latency, age), evidence in pairs.items()
        for days in windows
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """A batch, its limits, and its rows in the order of their slots."""

    columns: MeasurementColumns
    limits: TargetLimits
    order: NDArray[np.int64]

    @classmethod
    def of(cls, register: Register, columns: MeasurementColumns) -> _Rows:
        return cls(columns, TargetLimits.of(register, columns.targets), np.argsort(columns.slot_start, kind="stable"))

    def of_slots(self, slots: range, slot_seconds: int) -> MeasurementColumns:
        edges = np.array([slots.start, slots.stop]) * slot_seconds
        begin, end = np.searchsorted(self.columns.slot_start, edges, sorter=self.order)
        rows, columns = self.order[begin:end], self.columns
        return replace(
            columns,
            target=columns.target[rows],
            slot_start=columns.slot_start[rows],
            time=columns.time[rows],
            outcome=columns.outcome[rows],
            reason=columns.reason[rows],
            latency=None if columns.latency is None else columns.latency[rows],
            data_age=None if columns.data_age is None else columns.data_age[rows],
        )


def _days(calendar: Calendar, span: range) -> Iterator[range]:
    """Cut a span of slots at midnights."""
    start = span.start
    while start < span.stop:
        stop = min(span.stop, calendar.first_slot(calendar.day_of(start) + timedelta(days=1)))
        yield range(start, stop)
        start = stop
