"""Cuts a snapshot's indicators into the columns of many blocks at once. Pure.

An operation of numpy costs more per array than per number, so blocks are cut a hundred at a time. No more than those
are in memory beside the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.core.blocks import BlockColumns
from services.core.model import IndicatorKind
from services.indicator.index import IndicatorColumns, Snapshot
from services.indicator.intervals import LEVEL

Rows = Mapping[IndicatorKind, NDArray[np.int64]]
"""Positions among the ids of each kind, in the order of kinds in a block."""


class IndicatorTable:
    """The indicators of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._ids = {
            kind: np.array(snapshot.columns[kind, snapshot.windows[0]].ids, dtype=np.object_) for kind in IndicatorKind
        }

    def all_of(self, kinds: Sequence[IndicatorKind]) -> Rows:
        """Return every row of some kinds."""
        return {kind: np.arange(len(self._ids[kind])) for kind in kinds}

    def cut(self, blocks: Sequence[Rows]) -> list[BlockColumns]:
        """Return the existing rows of each block: by window, then by kind, in the order given."""
        pieces = [
            self._piece(kind, days, blocks)
            for days in self.snapshot.windows
            for kind in dict.fromkeys(kind for block in blocks for kind in block)
        ]
        number, kinds, ids, days, level = (
            np.concatenate(parts) for parts in zip(*(piece[0] for piece in pieces), strict=True)
        )
        shares = np.concatenate([piece[1] for piece in pieces], axis=1)
        counts = np.concatenate([piece[2] for piece in pieces], axis=1)
        order = np.argsort(number, kind="stable")
        kinds, ids, days, level = kinds[order], ids[order], days[order], level[order]
        shares, counts = shares[:, order], counts[:, order]
        ends = np.searchsorted(number[order], np.arange(len(blocks) + 1)).tolist()
        snapshot = self.snapshot
        return [
            BlockColumns(
                as_of=snapshot.as_of,
                register_version=snapshot.register_version,
                probe_version=snapshot.probe_version,
                method_version=snapshot.method_version,
                interval_level=LEVEL,
                kinds=kinds[start:end],
                ids=ids[start:end],
                window_days=days[start:end],
                shares=shares[:, start:end],
                counts=counts[:, start:end],
                level=level[start:end],
            )
            for start, end in pairwise(ends)
        ]

    def _piece(
        self, kind: IndicatorKind, days: int, blocks: Sequence[Rows]
    ) -> tuple[tuple[NDArray[np.generic], ...], NDArray[np.float64], NDArray[np.int64]]:
        """Return one kind and window of all blocks: block numbers, kinds, ids, windows and levels; shares; counts."""
        columns = self.snapshot.columns[kind, days]
        by_block = [block.get(kind, _NONE) for block in blocks]
        rows = np.concatenate(by_block)
        number = np.repeat(np.arange(len(blocks)), [len(of_block) for of_block in by_block])
        applies = columns.applies[rows]
        rows, number = rows[applies], number[applies]
        kinds, windows = np.full(len(rows), kind, dtype=np.int64), np.full(len(rows), days, dtype=np.int64)
        labels = (number, kinds, self._ids[kind][rows], windows, columns.level[rows])
        shares = np.vstack([share[rows] for share in shares_of(columns)])
        return labels, shares, np.vstack([count[rows] for count in counts_of(columns)])


_NONE = np.zeros(0, dtype=np.int64)


def shares_of(columns: IndicatorColumns) -> tuple[NDArray[np.float64], ...]:
    """Return the shares of every entity, in the order of BlockColumns.shares."""
    bounds = (columns.point, columns.lower, columns.upper, columns.known_share)
    strict = (columns.strict_point, columns.strict_lower, columns.strict_upper)
    return *bounds, *columns.losses.T, *strict, columns.interval_low, columns.interval_high


def counts_of(columns: IndicatorColumns) -> tuple[NDArray[np.int64], ...]:
    """Return the counts of every entity, in the order of BlockColumns.counts."""
    return columns.links_required, columns.links_known, columns.links_absent, columns.interval_outages
