"""The latest measurement of every target from every vantage, and the target's last failures, for explanations.

The latest measurements are kept as a table of vantages and targets. Failures are kept as rows, and trimmed from time to
time to the newest of each target. Neither order nor repetition changes which measurements stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.core.model import FACTS, FactColumns, MeasurementColumns, Outcome, RecentRows, Target
from services.indicator.array_types import Ints
from services.indicator.cells.packing import cells_of
from services.indicator.cells.slots import TargetColumns

FAILURES = 5
"""Failures kept per target, over all vantages."""

DETAIL_CHARACTERS = 200
SPARE = 4096
"""The fewest rows of failures that accumulate before they are trimmed."""

# 32 bits where they suffice, in half the memory.
_LONGEST = (1 << 31) - 1  # microseconds, 35 minutes: what is kept of a probe or a phase of it that took longer
_KEPT = {
    "slot_start": np.int64,
    "time": np.int64,
    "outcome": np.uint8,
    "reason": np.uint8,
    **{name: np.int64 if name in ("data_age", "certificate_expiry") else np.int32 for name in FACTS},
}
_NEVER = np.iinfo(np.int64).max
_LATEST = np.dtype([*_KEPT.items(), ("cell", np.int64)])
_ROWS = ("target", "vantage", *_KEPT, "cell")
_TARGET, _VANTAGE, _SLOT, _OUTCOME, _CELL = (
    _ROWS.index(name) for name in ("target", "vantage", "slot_start", "outcome", "cell")
)


class RecentMeasurements:
    """The latest measurements and failures.

    Columns of targets and rows of vantages never change. ``columns`` may be shared with the evidence.
    """

    def __init__(self, columns: TargetColumns) -> None:
        self.vantages: list[str] = []
        self.columns = columns
        self._latest = np.zeros((0, 0), dtype=_LATEST)
        self._latest_details = np.full((0, 0), "", dtype=np.object_)
        self._failed = np.zeros((len(_ROWS), 0), dtype=np.int64)
        self._failed_details = np.zeros(0, dtype=np.object_)
        self._untrimmed: list[tuple[Ints, NDArray[np.object_]]] = []
        self._untrimmed_rows = 0

    def take(self, batch: MeasurementColumns) -> None:
        """Ingest the measurements of a batch that has facts; other batches are ignored."""
        facts = batch.facts
        if facts is None or not len(batch):
            return
        column = self.columns.of(batch.targets)[batch.target]
        if batch.vantage not in self.vantages:
            self.vantages.append(batch.vantage)
        vantage = self.vantages.index(batch.vantage)
        measured = (column, np.full(len(batch), vantage), batch.slot_start, batch.time, batch.outcome, batch.reason)
        rows = np.vstack([*measured, facts.numbers, cells_of(batch)]).astype(np.int64, copy=False)
        table = np.array([text[:DETAIL_CHARACTERS] for text in facts.details] or [""], dtype=np.object_)
        details = table[facts.detail]
        self._take_latest(rows, details, vantage)
        failed = np.flatnonzero((rows[_OUTCOME] >= Outcome.NOT_CONNECTED) & (rows[_OUTCOME] < Outcome.OK))
        if len(failed):
            self._untrimmed.append((rows[:, failed], details[failed]))
            self._untrimmed_rows += len(failed)
            if self._untrimmed_rows > SPARE + len(self._failed_details) // 2:
                self._trim()

    def _take_latest(self, rows: Ints, details: NDArray[np.object_], vantage: int) -> None:
        # A later slot wins, and within a slot the measurement that counts (§2): the first of each target in this order.
        order = np.lexsort((-rows[_CELL], rows[_SLOT]))[::-1]
        column, first = np.unique(rows[_TARGET, order], return_index=True)
        rows, details = rows[:, order[first]], details[order[first]]
        more, wider = len(self.vantages) - self._latest.shape[0], len(self.columns.targets) - self._latest.shape[1]
        if more > 0 or wider > 0:
            spare = max(wider, self._latest.shape[1] // 4) if wider > 0 else 0
            self._latest = np.pad(self._latest, ((0, more), (0, spare)))
            self._latest_details = np.pad(self._latest_details, ((0, more), (0, spare)), constant_values="")
        latest = self._latest[vantage, column]
        later = rows[_SLOT] > latest["slot_start"]
        later |= (rows[_SLOT] == latest["slot_start"]) & (rows[_CELL] < latest["cell"])
        rows, column = rows[:, later], column[later]
        for name, kind in (*_KEPT.items(), ("cell", np.int64)):
            row = rows[_ROWS.index(name)]
            self._latest[name][vantage, column] = row.clip(-1, _LONGEST) if kind is np.int32 else row
        self._latest_details[vantage, column] = details[later]

    def _trim(self) -> None:
        """Keep the newest failures of each target, sorted by target, then newest first."""
        rows = np.hstack([self._failed, *(rows for rows, _ in self._untrimmed)])
        details = np.concatenate([self._failed_details, *(details for _, details in self._untrimmed)])
        order = np.lexsort((rows[_CELL], rows[_VANTAGE], -rows[_SLOT], rows[_TARGET]))
        rows = rows[:, order]
        same = np.zeros(len(order), dtype=np.bool_)
        keys = rows[[_TARGET, _SLOT, _VANTAGE]]
        same[1:] = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
        order, rows = order[~same], rows[:, ~same]
        position = np.arange(len(order))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = rows[_TARGET, 1:] != rows[_TARGET, :-1]
        newest = position - np.maximum.accumulate(np.where(first, position, 0)) < FAILURES
        self._failed, self._failed_details, self._untrimmed = rows[:, newest], details[order[newest]], []
        self._untrimmed_rows = 0

    def latest(self, columns: Ints) -> RecentRows:
        """Return the latest measurements of the targets in these ``columns`` (k,), in their order.

        In the rows returned a target is its position in ``columns``, a vantage its position in ``vantages``.
        """
        within = np.flatnonzero(columns < self._latest.shape[1])
        latest = self._latest[:, columns[within]]
        position, vantage = np.nonzero(latest["outcome"].T)
        latest, target = latest[vantage, position], within[position]
        rows = np.vstack([target, vantage, *(latest[name] for name in _KEPT)])
        return RecentRows(rows, self._latest_details[vantage, columns[target]])

    def failures(self, columns: Ints) -> RecentRows:
        """Return the last failures of the targets in these ``columns``, newest first per target, like ``latest``."""
        if self._untrimmed:
            self._trim()
        column = self._failed[_TARGET]
        start, end = np.searchsorted(column, columns, "left"), np.searchsorted(column, columns, "right")
        count = end - start
        row = np.arange(count.sum()) + np.repeat(start - np.cumsum(count) + count, count)
        rows = self._failed[:-1, row]
        rows[_TARGET] = np.repeat(np.arange(len(columns)), count)
        return RecentRows(rows, self._failed_details[row])

    def expiries(self, columns: Ints) -> Ints:
        """Return the earliest expiry of the certificates that targets in ``columns`` (k,) last showed, 0 if none."""
        expiry = np.full(len(columns), _NEVER)
        within = np.flatnonzero(columns < self._latest.shape[1])
        shown = self._latest["certificate_expiry"][:, columns[within]]
        expiry[within] = np.where(shown > 0, shown, _NEVER).min(axis=0, initial=_NEVER)
        return np.where(expiry == _NEVER, 0, expiry)


def recent_batches(
    rows: RecentRows, targets: Sequence[Target], vantages: Sequence[str]
) -> Iterable[MeasurementColumns]:
    """Yield rows as batches, one per vantage, to be ingested again; ``targets`` and ``vantages`` are their tables."""
    for number, vantage in enumerate(vantages):
        own = np.flatnonzero(rows.numbers[_VANTAGE] == number)
        numbers = rows.numbers[:, own]
        target, _, slot_start, time, outcome, reason = numbers[: len(_ROWS) - len(FACTS) - 1]
        yield MeasurementColumns(
            vantage=vantage,
            targets=tuple(targets),
            target=target,
            slot_start=slot_start,
            time=time,
            outcome=outcome.astype(np.uint8),
            reason=reason.astype(np.uint8),
            facts=FactColumns(numbers[6:], np.arange(len(own)), tuple(rows.details[own])),
        )
