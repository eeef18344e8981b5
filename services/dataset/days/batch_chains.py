"""Batches as stretches of their chains, so that unbroken chains need no room per batch (docs/archive.md §3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.dataset.days.manifest import BatchRun
from services.dataset.tables import DIGEST_BYTES, UNNUMBERED

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Part(IntEnum):
    """When a batch was stored: before the day, on it, or after it."""

    BEFORE = 0
    DAY = 1
    AFTER = 2


@dataclass(frozen=True, slots=True)
class BatchChains:
    """Stretches of chains as columns (n,): ``count`` batches of a ``run`` and ``part``, numbers ``begin`` to ``end``.

    In a stretch each number comes once, after the batch that it names. ``digest`` is the hash of the last batch,
    ``previous`` the hash that the first batch names as the one before it. Hashes are (n, 2) halves, 0 where there is
    none. ``low`` and ``high`` are the first and the last place of these batches in the order in which all batches came;
    others may have come between them. Batches without a number are stretches of number 0.
    """

    run: Ints
    begin: Ints
    end: Ints
    count: Ints
    low: Ints
    high: Ints
    part: Ints
    digest: NDArray[np.uint64]
    previous: NDArray[np.uint64]

    @classmethod
    def of(cls, table: pa.Table, run: Ints, part: Ints, came: Ints) -> BatchChains:
        """Return the batches of a table, each as its own stretch; ``came`` (n,) gives the order in which they came."""
        number = table["number"].to_numpy()
        ones, digest, previous = np.ones(len(run), np.int64), _halves(table["sha256"]), _halves(table["previous"])
        return cls(run, number, number, ones, came, came, part, digest, previous)

    @classmethod
    def heads(cls, runs: Sequence[tuple[int, BatchRun]]) -> BatchChains:
        """Return the last batches of earlier days; each run comes with its place."""
        run, end = (np.array(one, np.int64) for one in ([place for place, _ in runs], [one.last for _, one in runs]))
        zero, digests = np.zeros(len(runs), np.int64), [bytes.fromhex(one.head) or None for _, one in runs]
        digest = _halves(pa.array(digests, pa.binary(DIGEST_BYTES)))
        return cls(run, end, end, zero + 1, zero, zero, zero + Part.BEFORE, digest, np.zeros_like(digest))

    @classmethod
    def joined(cls, parts: Sequence[BatchChains]) -> BatchChains:
        """Return the stretches of all parts together, sorted by run, number, hash and when they came."""
        joined = cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
        order = np.lexsort((joined.low, joined.digest[:, 1], joined.digest[:, 0], joined.begin, joined.run))
        return joined.take(order)

    def take(self, places: Ints | Mask) -> BatchChains:
        """Return the stretches at some places."""
        return BatchChains(*(getattr(self, field.name)[places] for field in fields(self)))

    def condensed(self) -> BatchChains:
        """Return single batches as the longest stretches that they form, sorted."""
        rows = BatchChains.joined([self])
        if not len(rows.run):
            return rows
        follows = (rows.begin[1:] == rows.begin[:-1] + 1) & (rows.previous[1:] == rows.digest[:-1]).all(axis=1)
        follows |= (rows.begin[1:] == UNNUMBERED) & (rows.begin[:-1] == UNNUMBERED)
        follows &= (rows.run[1:] == rows.run[:-1]) & (rows.part[1:] == rows.part[:-1])
        starts = np.flatnonzero(np.append(True, ~follows))
        stops = np.append(starts[1:], len(rows.run))
        first, last = rows.take(starts), rows.take(stops - 1)
        low, high = np.minimum.reduceat(rows.low, starts), np.maximum.reduceat(rows.high, starts)
        return BatchChains(
            first.run, first.begin, last.end, stops - starts, low, high, first.part, last.digest, first.previous
        )

    def renumbered(self, places: Ints) -> BatchChains:
        """Return the stretches with new places of their runs; ``places`` gives them by the old ones."""
        others = (getattr(self, field.name) for field in fields(self)[1:])
        return BatchChains(places[self.run], *others)


def meeting(parts: Sequence[BatchChains]) -> list[int]:
    """Return which parts have a stretch of several batches that shares a number with another stretch."""
    part = np.repeat(np.arange(len(parts)), [len(one.run) for one in parts])
    run, begin, end, count = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("run", "begin", "end", "count")
    )
    order = np.lexsort((begin, run))
    order = order[begin[order] != UNNUMBERED]
    # Numbers may be of any size, so their ranks are compared, separately for each run.
    _, ranks = np.unique(np.concatenate([begin[order], end[order]]), return_inverse=True)
    apart = run[order] * (2 * len(order) + 1)
    first, last = apart + ranks[: len(order)], apart + ranks[len(order) :]
    alone = np.ones(len(order), bool)
    alone[1:] = first[1:] > np.maximum.accumulate(last)[:-1]
    group = np.cumsum(alone)
    crowded = np.bincount(group)[group] > 1
    found: list[int] = np.unique(part[order[crowded & (count[order] > 1)]]).tolist()
    return found


def _halves(hashes: pa.ChunkedArray | pa.Array) -> NDArray[np.uint64]:
    if isinstance(hashes, pa.ChunkedArray):
        hashes = hashes.combine_chunks()
    content = pc.fill_null(hashes, b"\0" * DIGEST_BYTES).buffers()[1]
    return np.frombuffer(content, ">u8", 2 * len(hashes)).reshape(-1, 2).astype(np.uint64)
