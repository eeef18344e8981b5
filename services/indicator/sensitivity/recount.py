"""Counts windows with other limits of latency and age (docs/method.md §7.6). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import product

import numpy as np

from services.core.model import MeasurementColumns, Register
from services.indicator.calendar import Calendar
from services.indicator.cells import SlotCells, join_parts
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity.limits import FACTORS, LinkLimits, MarkedDay, mark_day
from services.indicator.verdicts import Judge, WindowCounts, count_day


def mark_days(
    register: Register, batches: Callable[[date], Iterable[MeasurementColumns]], span: range
) -> Iterator[tuple[MarkedDay]]:
    """Mark every day of a span of slots; ``batches`` returns those with measurements of a day, with latencies and ages."""
    calendar, limits = Calendar.of(register.policy), LinkLimits.of(register)
    for day, _ in calendar.days(span):
        yield (mark_day(calendar, day, batches(day), limits),)


class Recount:
    """Windows that end at a slot, counted with τ and φ times every pair of FACTORS, as ``Evidence.window`` counts them."""

    def __init__(self, arrays: RegisterArrays, calendar: Calendar, *, end_slot: int, windows: Sequence[int]) -> None:
        self._calendar = calendar
        self._windows = {window: calendar.window(window, end_slot) for window in windows}
        self._cells = SlotCells(arrays.targets)
        self._judge = Judge(arrays, self._cells.columns.of(arrays.targets))
        self._totals = {
            (latency, age, window): WindowCounts.zero(arrays)
            for latency, age, window in product(FACTORS, FACTORS, windows)
        }
        self._slots_of = dict(calendar.days(self.span))

    @property
    def span(self) -> range:
        """The slots of the longest window."""
        return max(self._windows.values(), key=len)

    def add(self, parts: Sequence[MarkedDay]) -> None:
        """Add a day, in parts of different targets or vantages. Add each day of the span once; others do not count."""
        day = parts[0].measured.day
        slots = self._slots_of.get(day)
        if slots is None:
            return
        begin, ordinal = slots.start - self._calendar.first_slot(day), day.toordinal()
        for latency, age in product(FACTORS, FACTORS):
            stages = join_parts([part.under(latency=latency, age=age) for part in parts], self._cells)
            stages = stages[:, :, begin : begin + len(slots)]
            counts = count_day(self._judge, ordinal, stages, self._cells.vantages, self._calendar.slot_seconds)
            for window, span in self._windows.items():
                if slots.start in span:
                    self._totals[latency, age, window].add_day(self._judge, ordinal, len(slots), counts)

    def counts(self) -> dict[tuple[float, float, int], WindowCounts]:
        """Return the counts of each window with τ and φ times two of FACTORS."""
        return {key: total.copy() for key, total in self._totals.items()}


def by_day(batches: Sequence[MeasurementColumns], calendar: Calendar) -> Callable[[date], Iterable[MeasurementColumns]]:
    """Return a function that returns the rows of a day from batches of any days."""
    orders = [np.argsort(columns.slot_start, kind="stable") for columns in batches]

    def of_day(day: date) -> Iterator[MeasurementColumns]:
        slots = calendar.slots_of(day)
        edges = np.array([slots.start, slots.stop]) * calendar.slot_seconds
        for columns, order in zip(batches, orders, strict=True):
            begin, end = np.searchsorted(columns.slot_start, edges, sorter=order)
            if begin < end:
                yield columns.rows(order[begin:end])

    return of_day
