"""The latest measurement of every target from every vantage, and its last failures: what explanations show.

Kept as columns: of the latest a cell per vantage and target; of failures a row each, cut to the newest of each target now
and then. Which measurement stays depends on neither order nor repetition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.core.model import FACTS, FactColumns, MeasurementColumns, Outcome, RecentRows, Target
from services.indicator.cells.packing import pack_cells
from services.indicator.cells.slots import TargetColumns

__all__ = ["FAILURES", "RecentMeasurements", "recent_batches"]

FAILURES = 5
"""Failures kept per target, over all vantages."""

DETAIL_CHARACTERS = 200
SPARE = 4096
"""Rows of failures that may lie about before they are cut."""

# In 64 bits each they would take twice the room.
_LONGEST = (1 << 31) - 1  # microseconds that a probe or a phase of it took, if it took longer than 35 minutes
_KEPT = {
    "slot_start": np.int64,
    "time": np.int64,
    "outcome": np.uint8,
    "reason": np.uint8,
    **{name: np.int64 if name in ("data_age", "certificate_expiry") else np.int32 for name in FACTS},
}
_LATEST = np.dtype(list(_KEPT.items()))
_ROWS = ("target", "vantage", *_KEPT, "cell")
_TARGET, _VANTAGE, _SLOT, _OUTCOME, _CELL = (
    _ROWS.index(name) for name in ("target", "vantage", "slot_start", "outcome", "cell")
)


class RecentMeasurements:
    """What was last measured. Targets and vantages keep their columns and rows for good, as in Evidence, whose ``columns``
    it shares where it is given them.
    """

    def __init__(self, columns: TargetColumns | None = None) -> None:
        self.vantages: list[str] = []
        self._columns = TargetColumns() if columns is None else columns
        self._latest = np.zeros((0, 0), dtype=_LATEST)
        self._said = np.full((0, 0), "", dtype=np.object_)  # the details of the latest
        self._failed = np.zeros((len(_ROWS), 0), dtype=np.int64)
        self._details = np.zeros(0, dtype=np.object_)
        self._loose: list[tuple[NDArray[np.int64], NDArray[np.object_]]] = []
        self._loose_rows = 0

    def take(self, batch: MeasurementColumns) -> None:
        """Take in the measurements of a batch that has facts; others tell nothing here."""
        facts = batch.facts
        if facts is None or not len(batch):
            return
        column = self._columns.of(batch.targets)[batch.target]
        if batch.vantage not in self.vantages:
            self.vantages.append(batch.vantage)
        vantage = self.vantages.index(batch.vantage)
        cell = pack_cells(batch.slot_start, batch.time, batch.outcome, batch.reason)
        own = (column, np.full(len(batch), vantage), batch.slot_start, batch.time, batch.outcome, batch.reason)
        rows = np.vstack([*own, facts.numbers, cell]).astype(np.int64, copy=False)
        table = np.array([text[:DETAIL_CHARACTERS] for text in facts.details] or [""], dtype=np.object_)
        details = table[facts.detail]
        self._take_latest(rows, details, vantage)
        failed = np.flatnonzero((rows[_OUTCOME] >= Outcome.NOT_CONNECTED) & (rows[_OUTCOME] < Outcome.OK))
        if len(failed):
            self._loose.append((rows[:, failed], details[failed]))
            self._loose_rows += len(failed)
            if self._loose_rows > SPARE + len(self._details) // 2:
                self._cut()

    def _take_latest(self, rows: NDArray[np.int64], details: NDArray[np.object_], vantage: int) -> None:
        # In ascending order of what wins (a later slot; in one slot what Evidence counts), so the last of each is it.
        order = np.lexsort((-rows[_CELL], rows[_SLOT]))[::-1]
        column, first = np.unique(rows[_TARGET, order], return_index=True)
        rows, details = rows[:, order[first]], details[order[first]]
        more, wider = len(self.vantages) - self._latest.shape[0], len(self._columns.targets) - self._latest.shape[1]
        if more > 0 or wider > 0:
            spare = max(wider, self._latest.shape[1] // 4) if wider > 0 else 0
            self._latest = np.pad(self._latest, ((0, more), (0, spare)))
            self._said = np.pad(self._said, ((0, more), (0, spare)), constant_values="")
        there = self._latest[vantage, column]
        cell = pack_cells(*(there[name] for name in ("slot_start", "time", "outcome", "reason")))
        later = rows[_SLOT] > there["slot_start"]
        later |= (rows[_SLOT] == there["slot_start"]) & (rows[_CELL] < cell)
        rows, column = rows[:, later], column[later]
        for name, kind in _KEPT.items():
            row = rows[_ROWS.index(name)]
            self._latest[name][vantage, column] = row.clip(-1, _LONGEST) if kind is np.int32 else row
        self._said[vantage, column] = details[later]

    def _cut(self) -> None:
        """Keep the newest failures of each target; sorted by target, then from the newest slot on."""
        rows = np.hstack([self._failed, *(some for some, _ in self._loose)])
        details = np.concatenate([self._details, *(some for _, some in self._loose)])
        order = np.lexsort((rows[_CELL], rows[_VANTAGE], -rows[_SLOT], rows[_TARGET]))
        rows = rows[:, order]
        same = np.zeros(len(order), dtype=np.bool_)
        keys = rows[[_TARGET, _SLOT, _VANTAGE]]
        same[1:] = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
        order, rows = order[~same], rows[:, ~same]
        at = np.arange(len(order))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = rows[_TARGET, 1:] != rows[_TARGET, :-1]
        newest = at - np.maximum.accumulate(np.where(first, at, 0)) < FAILURES
        self._failed, self._details, self._loose = rows[:, newest], details[order[newest]], []
        self._loose_rows = 0

    def latest(self, columns: NDArray[np.int64]) -> RecentRows:
        """Return the latest measurements of the targets in these ``columns`` (k,).

        In the rows returned a target is its position in ``columns``, a vantage its position in ``vantages``.
        """
        there = np.flatnonzero(columns < self._latest.shape[1])
        latest = self._latest[:, columns[there]]
        vantage, at = np.nonzero(latest["outcome"])
        latest = latest[vantage, at]
        rows = np.vstack([there[at], vantage, *(latest[name] for name in _KEPT)])
        return RecentRows(rows, self._said[vantage, columns[there[at]]])

    def failures(self, columns: NDArray[np.int64]) -> RecentRows:
        """Return the last failures of the targets in these ``columns``, those of a target newest first; as ``latest``."""
        if self._loose:
            self._cut()
        of = self._failed[_TARGET]
        start, end = np.searchsorted(of, columns, "left"), np.searchsorted(of, columns, "right")
        count = end - start
        at = np.arange(count.sum()) + np.repeat(start - np.cumsum(count) + count, count)
        rows = self._failed[:-1, at]
        rows[_TARGET] = np.repeat(np.arange(len(columns)), count)
        return RecentRows(rows, self._details[at])

    def columns_of(self, targets: Sequence[Target]) -> NDArray[np.int64]:
        """Return the column of each target."""
        return self._columns.of(targets)


def recent_batches(
    rows: RecentRows, targets: Sequence[Target], vantages: Sequence[str]
) -> Iterable[MeasurementColumns]:
    """Return rows as batches, one per vantage, to be taken in again; ``targets`` and ``vantages`` are their tables."""
    for at, vantage in enumerate(vantages):
        here = np.flatnonzero(rows.numbers[_VANTAGE] == at)
        numbers = rows.numbers[:, here]
        target, _, slot_start, time, outcome, reason = numbers[: len(_ROWS) - len(FACTS) - 1]
        yield MeasurementColumns(
            vantage=vantage,
            targets=tuple(targets),
            target=target,
            slot_start=slot_start,
            time=time,
            outcome=outcome.astype(np.uint8),
            reason=reason.astype(np.uint8),
            facts=FactColumns(numbers[6:], np.arange(len(here)), tuple(rows.details[here])),
        )
