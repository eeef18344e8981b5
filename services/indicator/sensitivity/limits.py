"""Judges measurements again by other limits of latency and age (docs/method.md §7.6). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from services.core.model import MeasurementColumns, Outcome, Register, Stage, Target
from services.indicator.array_types import Bools, Ints
from services.indicator.calendar import Calendar
from services.indicator.cells import MeasuredDay, precedence, stages
from services.indicator.measured_days import DayCells

FACTORS: Final = (0.5, 1.0, 2.0)
"""The factors of τ and φ."""

Marks = NDArray[np.uint8]
"""A bit for each of FACTORS, set if late with τ times the factor; then one for each, set if stale with φ times it."""

_UNKNOWN: Final = np.uint8(255)  # -1 as a stage
_LATE, _STALE, _OK = (np.int8(stage) for stage in (Stage.LATE, Stage.STALE, Stage.OK))


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """The limits τ and φ of links by id, in microseconds; -1 = not judged."""

    of_links: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, register: Register) -> Self:
        """Return the limits of a register."""
        return cls(
            {
                link: (row.latency_ms * 1000, -1 if row.max_age_s is None else row.max_age_s * 1_000_000)
                for link, row in register.links.items()
            }
        )

    def among(self, targets: Sequence[Target]) -> tuple[Ints, Ints]:
        """Return the limits of targets, (targets,) each. Endpoints, and links without a row, have none."""
        none = (-1, -1)
        rows = [none if target.endpoint else self.of_links.get(target.id, none) for target in targets]
        latency, age = np.array(rows, np.int64).reshape(-1, 2).T
        return latency, age


def mark_rows(columns: MeasurementColumns, limits: LinkLimits) -> Marks:
    """Mark the rows (n,) that would have been late or stale under other limits.

    Only right answers are judged again. A factor of 1 keeps a judgement, whatever the limit was when it was made. But
    the age of an answer that is no longer LATE is judged for the first time. Where the latency or age is not known, or
    has no limit, the judgement stays. Raises ValueError when the columns were read without latencies and ages.
    """
    if columns.latency is None or columns.data_age is None:
        raise ValueError("these measurements were read without their latencies and ages")
    was_late, was_stale = columns.outcome == Outcome.LATE, columns.outcome == Outcome.STALE
    latency_of, age_of = limits.among(columns.targets)
    latency, age = latency_of[columns.target], age_of[columns.target]
    timed, dated = (columns.latency >= 0) & (latency >= 0), (columns.data_age >= 0) & (age >= 0)
    marks = np.zeros(len(columns), np.uint8)
    for bit, factor in enumerate(FACTORS):
        late = was_late if factor == 1 else np.where(timed, columns.latency > factor * latency, was_late)
        judged = dated & was_late if factor == 1 else dated
        stale = np.where(judged, columns.data_age > factor * age, was_stale)
        marks |= late.astype(np.uint8) << np.uint8(bit) | stale.astype(np.uint8) << np.uint8(len(FACTORS) + bit)
    right = was_late | was_stale | (columns.outcome == Outcome.OK)
    return np.where(right, marks, np.uint8(0))


@dataclass(frozen=True, slots=True, eq=False)
class MarkedDay:
    """One measured day with the marks of every cell, enough to judge it with τ and φ times any of FACTORS.

    ``measured`` has OK where the answer was right, on time or not; ``marks`` have the shape of its stages.
    """

    measured: MeasuredDay
    marks: Marks

    def under(self, *, latency: float = 1.0, age: float = 1.0) -> MeasuredDay:
        """Return the day with τ times ``latency`` and φ times ``age``, two of FACTORS; with both 1 as it was judged."""
        late = self._marked(FACTORS.index(latency))
        stale = self._marked(len(FACTORS) + FACTORS.index(age))
        reached = np.where(late, _LATE, np.where(stale, _STALE, _OK))
        # A cell of several measurements may have marks and a lower stage.
        right = self.measured.stages == _OK
        return replace(self.measured, stages=np.where(right, reached, self.measured.stages))

    def _marked(self, bit: int) -> Bools:
        return np.asarray(self.marks & np.uint8(1 << bit) != 0)


def mark_day(calendar: Calendar, day: date, batches: Iterable[MeasurementColumns], limits: LinkLimits) -> MarkedDay:
    """Mark the admitted rows of one day, as ``measured_day`` counts them.

    Limits change only the stage of a measurement, so the same one of several measurements counts under all limits. Of
    measurements that differ only in stage, the lowest counts: late if any is late, else stale if any is stale.
    """
    cells, kept = DayCells(calendar, day), []
    for batch in batches:
        rows, place, packed = cells.add(batch)
        if len(rows):
            kept.append((batch.vantage, place, packed, mark_rows(batch.rows(rows), limits)))
    stage = np.full(cells.shape, _UNKNOWN, np.uint8)
    marks = np.zeros(cells.shape, np.uint8)
    vantages = list(cells.vantages)
    for vantage, place, packed, marked in kept:
        counts = precedence(packed) == precedence(cells.of(vantage).reshape(-1)[place])
        row, where, reached = vantages.index(vantage), place[counts], stages(packed[counts])
        reached[reached >= Stage.LATE] = Stage.OK
        np.minimum.at(stage[row].reshape(-1), where, reached.view(np.uint8))
        np.bitwise_or.at(marks[row].reshape(-1), where, marked[counts])
    return MarkedDay(MeasuredDay(day, cells.targets, tuple(vantages), stage.view(np.int8)), marks)
