"""A snapshot's indicators, cut into the columns of many blocks at once; pure.

What numpy does of each array costs more than what it does of each number, so blocks are cut by the hundred, and no more of
them than that are held beside the snapshot at any time.
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

__all__ = ["IndicatorTable"]

Rows = Mapping[IndicatorKind, NDArray[np.int64]]
"""Positions among the ids of each kind, kind after kind as a block has them."""


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
        """Return the rows of each block, as far as there are any: window by window, kind by kind, in the order given."""
        pieces = [
            self._piece(kind, days, blocks)
            for days in self.snapshot.windows
            for kind in dict.fromkeys(kind for block in blocks for kind in block)
        ]
        number, kinds, ids, days, level = (
            np.concatenate(some) for some in zip(*(one[0] for one in pieces), strict=True)
        )
        shares = np.concatenate([one[1] for one in pieces], axis=1)
        counts = np.concatenate([one[2] for one in pieces], axis=1)
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
        some = [block.get(kind, _NONE) for block in blocks]
        rows = np.concatenate(some)
        number = np.repeat(np.arange(len(blocks)), [len(one) for one in some])
        applies = columns.applies[rows]
        rows, number = rows[applies], number[applies]
        alike = (np.full(len(rows), kind, dtype=np.int64), np.full(len(rows), days, dtype=np.int64))
        told = (number, alike[0], self._ids[kind][rows], alike[1], columns.level[rows])
        return told, _shares(columns, rows), _counts(columns, rows)


_NONE = np.zeros(0, dtype=np.int64)


def _shares(columns: IndicatorColumns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    bounds = (columns.point, columns.lower, columns.upper, columns.known_share)
    strict = (columns.strict_point, columns.strict_lower, columns.strict_upper)
    interval = (columns.interval_low, columns.interval_high)
    return np.vstack(
        [*(one[rows] for one in bounds), columns.losses[rows].T, *(one[rows] for one in strict + interval)]
    )


def _counts(columns: IndicatorColumns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.vstack([one[rows] for one in (columns.links_required, columns.links_known, columns.links_absent)])
