"""A snapshot's indicators as one table of numbers, which blocks are cut from; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from services.core.codec import BlockColumns
from services.core.evidence import Kind
from services.indicator.index import IndicatorColumns, Snapshot
from services.indicator.odds import LEVEL

__all__ = ["Table"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Every indicator of a snapshot: each of w windows has the same m places, kind after kind, in id order.

    ``places`` which of the m a kind has; ``kinds`` and ``ids`` (m,); ``applies`` (w, m) where there is an indicator;
    ``shares`` (14, w, m), ``counts`` (3, w, m) and ``level`` (w, m) as in BlockColumns.
    """

    snapshot: Snapshot
    places: Mapping[Kind, range]
    kinds: NDArray[np.int64]
    ids: NDArray[np.object_]
    applies: NDArray[np.bool_]
    shares: NDArray[np.float64]
    counts: NDArray[np.int64]
    level: NDArray[np.int8]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Table:
        """Put a snapshot's columns side by side."""
        windows = [[snapshot.columns[kind, days] for kind in Kind] for days in snapshot.windows]
        ends = list(accumulate(len(columns.ids) for columns in windows[0]))
        return cls(
            snapshot=snapshot,
            places={kind: range(start, end) for kind, start, end in zip(Kind, [0, *ends], ends, strict=False)},
            kinds=np.repeat(list(Kind), np.diff(ends, prepend=0)),
            ids=np.array([one for columns in windows[0] for one in columns.ids], dtype=np.object_),
            applies=np.array([np.concatenate([columns.applies for columns in window]) for window in windows]),
            shares=np.stack([np.hstack([_shares(columns) for columns in window]) for window in windows], axis=1),
            counts=np.stack([np.hstack([_counts(columns) for columns in window]) for window in windows], axis=1),
            level=np.array([np.concatenate([columns.level for columns in window]) for window in windows]),
        )

    def cut(self, rows: Mapping[Kind, NDArray[np.int64]]) -> BlockColumns:
        """Return some rows of some kinds' indicators, as far as there are any, window by window in the order given."""
        snapshot = self.snapshot
        wanted = np.concatenate([self.places[kind].start + own for kind, own in rows.items()])
        window, at = np.nonzero(self.applies[:, wanted])
        place = wanted[at]
        return BlockColumns(
            as_of=snapshot.as_of,
            register_version=snapshot.register_version,
            probe_version=snapshot.probe_version,
            method_version=snapshot.method_version,
            interval_level=LEVEL,
            kinds=self.kinds[place],
            ids=self.ids[place],
            window_days=np.array(snapshot.windows, dtype=np.int64)[window],
            shares=self.shares[:, window, place],
            counts=self.counts[:, window, place],
            level=self.level[window, place],
        )


def _shares(columns: IndicatorColumns) -> NDArray[np.float64]:
    bounds = (columns.point, columns.lower, columns.upper, columns.known_share)
    strict = (columns.strict_point, columns.strict_lower, columns.strict_upper)
    return np.vstack([*bounds, columns.losses.T, *strict, columns.interval_low, columns.interval_high])


def _counts(columns: IndicatorColumns) -> NDArray[np.int64]:
    return np.vstack([columns.links_required, columns.links_known, columns.links_absent])
