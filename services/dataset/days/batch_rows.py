"""Batches of many runs as arrays, and what is wrong with their numbers and hashes (docs/archive.md §3). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.dataset.days.manifest import BatchRun
from services.dataset.tables import DIGEST_BYTES, UNNUMBERED

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Part(IntEnum):
    """When a batch was stored: before the day, on the day while the day before took rows, later on the day, or after it."""

    BEFORE = 0
    OVERLAP = 1
    DAY = 2
    AFTER = 3


@dataclass(frozen=True, slots=True)
class NumberRanges:
    """Ranges of numbers of runs, from ``first`` to ``last`` (m,), sorted by ``run``."""

    run: Ints
    first: Ints
    last: Ints

    @property
    def count(self) -> Ints:
        """How many numbers each range has."""
        return self.last - self.first + 1

    def of(self, run: int, *, limit: int) -> list[tuple[int, int]]:
        """Return the first ranges of a run, ``limit`` at most."""
        start, stop = np.searchsorted(self.run, [run, run + 1])
        chosen = slice(int(start), min(int(stop), int(start) + limit))
        return list(zip(self.first[chosen].tolist(), self.last[chosen].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class BatchRows:
    """Batches as columns (n,), sorted by run, number, hash and sequence. Hashes are (n, 2) halves, 0 where there is none.

    ``first`` marks first deliveries, and ``opens`` the first row of each number of a run.
    """

    run: Ints
    number: Ints
    sequence: Ints
    part: Ints
    digest: NDArray[np.uint64]
    previous: NDArray[np.uint64]
    first: Mask
    opens: Mask

    @classmethod
    def of(cls, table: pa.Table, run: Ints, part: Ints, heads: list[tuple[int, BatchRun]]) -> BatchRows:
        """Sort the rows of a table, and the last batches of earlier days, each with the place of its run."""
        places, accounts = [place for place, _ in heads], [account for _, account in heads]
        empty = np.zeros(len(heads), np.int64)
        before = _halves(pa.array([bytes.fromhex(one.head) or None for one in accounts], pa.binary(DIGEST_BYTES)))
        run = np.concatenate([run, np.array(places, np.int64)])
        number = np.concatenate([table["number"].to_numpy(), np.array([one.last for one in accounts], np.int64)])
        sequence = np.concatenate([table["sequence"].to_numpy(), empty])
        part = np.concatenate([part, empty + Part.BEFORE])
        digest = np.concatenate([_halves(table["sha256"]), before])
        previous = np.concatenate([_halves(table["previous"]), np.zeros_like(before)])
        order = np.lexsort((sequence, digest[:, 1], digest[:, 0], number, run))
        run, number, digest = run[order], number[order], digest[order]
        opens = np.ones(len(order), bool)
        opens[1:] = (run[1:] != run[:-1]) | (number[1:] != number[:-1])
        first = opens | (number == UNNUMBERED)
        first[1:] |= (digest[1:] != digest[:-1]).any(axis=1)
        return cls(run, number, sequence[order], part[order], digest, previous[order], first, opens)

    @property
    def is_of_day(self) -> Mask:
        """Mark rows that were stored on the day."""
        return np.isin(self.part, (Part.OVERLAP, Part.DAY))

    def holes(self, floor: Ints, last: Ints) -> NumberRanges:
        """Return numbers up to the last that came that are in no row."""
        chosen = self.opens & (self.number > floor[self.run]) & (self.number <= last[self.run])
        run, number = self.run[chosen], self.number[chosen]
        before = floor[run]
        follows = run[1:] == run[:-1]
        before[1:][follows] = number[:-1][follows]
        gap = number > before + 1
        return NumberRanges(run[gap], before[gap] + 1, number[gap] - 1)

    def belated(self, floor: Ints) -> NumberRanges:
        """Return numbers that came after the day that should have had them was sealed."""
        starts = np.flatnonzero(self.opens)
        run, number = self.run[starts], self.number[starts]
        earliest = np.minimum.reduceat(self.part, starts) if len(starts) else self.part
        return _numbers(run, number, (number != UNNUMBERED) & (number <= floor[run]) & (earliest == Part.DAY))

    def forks(self) -> NumberRanges:
        """Return numbers that came with different content, on the day or before and on it."""
        chosen = self.first & (self.part != Part.AFTER) & (self.number != UNNUMBERED)
        run, number, of_day = self.run[chosen], self.number[chosen], self.is_of_day[chosen]
        again = (run[1:] == run[:-1]) & (number[1:] == number[:-1])
        twice = np.zeros(len(run), bool)
        twice[1:] |= again
        twice[:-1] |= again
        return _numbers(run, number, twice & of_day)

    def breaks(self) -> NumberRanges:
        """Return numbers whose batch names another one before it than came, or none."""
        mine = self.first & self.is_of_day & (self.number > 1)
        # Nearly every batch names the row before it, and only the others are looked up.
        follows = (self.run[1:] == self.run[:-1]) & (self.number[1:] == self.number[:-1] + 1)
        mine[1:] &= ~(follows & (self.previous[1:] == self.digest[:-1]).all(axis=1))
        run, number, previous = self.run[mine], self.number[mine], self.previous[mine]
        if not len(run):
            return NumberRanges(run, number, number)
        known = pc.is_in(_binary(run, number - 1), value_set=_binary(self.run, self.number))
        matched = pc.is_in(_binary(run, number - 1, previous), value_set=_binary(self.run, self.number, self.digest))
        wrong = pc.and_not(known, matched).to_numpy(zero_copy_only=False) | ~previous.any(axis=1)
        return _numbers(run, number, wrong)

    def heads(self, last: Ints) -> dict[int, str]:
        """Return the hash of each run's last batch, in hex: of several, of the one that was stored first."""
        mine = np.flatnonzero(self.is_of_day & (self.number == last[self.run]) & (self.number != UNNUMBERED))
        mine = mine[np.argsort(-self.sequence[mine], kind="stable")]
        return {int(self.run[place]): self.digest[place].astype(">u8").tobytes().hex() for place in mine}

    def sequences(self, runs: int) -> tuple[Ints, Ints]:
        """Return the first and last sequence of each run's batches of the day, repetitions apart."""
        mine = self.first & self.is_of_day
        last = np.full(runs, -1, np.int64)
        np.maximum.at(last, self.run[mine], self.sequence[mine])
        return lowest(self.run[mine], self.sequence[mine], runs), last


def lowest(run: Ints, values: Ints, runs: int) -> Ints:
    """Return the lowest value of each run; 0 of a run without any."""
    lowest = np.full(runs, np.iinfo(np.int64).max, np.int64)
    np.minimum.at(lowest, run, values)
    return np.where(np.isin(np.arange(runs), run), lowest, 0)


def _halves(hashes: pa.ChunkedArray | pa.Array) -> NDArray[np.uint64]:
    if isinstance(hashes, pa.ChunkedArray):
        hashes = hashes.combine_chunks()
    content = pc.fill_null(hashes, b"\0" * DIGEST_BYTES).buffers()[1]
    return np.frombuffer(content, ">u8", 2 * len(hashes)).reshape(-1, 2).astype(np.uint64)


def _binary(*columns: NDArray[Any]) -> pa.Array:
    """Return rows of integers as values that can be looked up."""
    joined = np.column_stack([column.astype(np.uint64) for column in columns])
    kind = pa.binary(joined.shape[1] * joined.itemsize)
    return pa.Array.from_buffers(kind, len(joined), [None, pa.py_buffer(np.ascontiguousarray(joined))])


def _numbers(run: Ints, number: Ints, chosen: Mask) -> NumberRanges:
    """Return chosen ones of sorted numbers, each once."""
    run, number = run[chosen], number[chosen]
    new = np.ones(len(run), bool)
    new[1:] = (run[1:] != run[:-1]) | (number[1:] != number[:-1])
    return NumberRanges(run[new], number[new], number[new])
