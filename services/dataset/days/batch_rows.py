"""Finds the faults in numbers and hashes of the batches of many runs (docs/archive.md §3). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.dataset.days.batch_chains import BatchChains, Ints, Mask, Part
from services.dataset.tables import UNNUMBERED


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
        """Return the first ranges of a run, at most ``limit``."""
        start, stop = np.searchsorted(self.run, [run, run + 1])
        chosen = slice(int(start), min(int(stop), int(start) + limit))
        return list(zip(self.first[chosen].tolist(), self.last[chosen].tolist(), strict=True))


class BatchRows:
    """Sorted stretches of batches (n,), and their faults.

    ``first`` marks first deliveries, and ``opens`` the first row of each number of a run. No other row may share a
    number with a stretch of several batches.
    """

    def __init__(self, rows: BatchChains) -> None:
        self.rows = rows
        run, begin, digest = rows.run, rows.begin, rows.digest
        self.opens = np.ones(len(run), bool)
        self.opens[1:] = (run[1:] != run[:-1]) | (begin[1:] != begin[:-1])
        self.first = self.opens | (begin == UNNUMBERED)
        self.first[1:] |= (digest[1:] != digest[:-1]).any(axis=1)
        self.is_of_day = rows.part == Part.DAY

    def holes(self, floor: Ints, last: Ints) -> NumberRanges:
        """Return the numbers that are in no row, up to the last number that came."""
        rows = self.rows.take(
            self.opens & (self.rows.end > floor[self.rows.run]) & (self.rows.end <= last[self.rows.run])
        )
        before = floor[rows.run]
        follows = rows.run[1:] == rows.run[:-1]
        before[1:][follows] = rows.end[:-1][follows]
        gap = rows.begin > before + 1
        return NumberRanges(rows.run[gap], before[gap] + 1, rows.begin[gap] - 1)

    def belated(self, missed: NumberRanges) -> NumberRanges:
        """Return the numbers of ``missed``, which earlier days lack, that came for the first time on the day."""
        starts = np.flatnonzero(self.opens)
        rows = self.rows.take(starts)
        earliest = np.minimum.reduceat(self.rows.part, starts) if len(starts) else rows.part
        rows = rows.take(earliest == Part.DAY)
        found = [(missed.run[:0], missed.first[:0], missed.last[:0])]
        for run, first, last in zip(missed.run.tolist(), missed.first.tolist(), missed.last.tolist(), strict=True):
            start, stop = np.searchsorted(rows.run, [run, run + 1])
            of_run = slice(int(start), int(stop))
            begin, end = np.maximum(rows.begin[of_run], first), np.minimum(rows.end[of_run], last)
            came = begin <= end
            found.append((rows.run[of_run][came], begin[came], end[came]))
        return NumberRanges(*(np.concatenate(columns) for columns in zip(*found, strict=True)))

    def forks(self) -> NumberRanges:
        """Return the numbers that came with different content, on the day or before and on it."""
        chosen = self.first & (self.rows.part != Part.AFTER) & (self.rows.begin != UNNUMBERED)
        run, number, of_day = self.rows.run[chosen], self.rows.begin[chosen], self.is_of_day[chosen]
        again = (run[1:] == run[:-1]) & (number[1:] == number[:-1])
        twice = np.zeros(len(run), bool)
        twice[1:] |= again
        twice[:-1] |= again
        return _numbers(run, number, twice & of_day)

    def breaks(self) -> NumberRanges:
        """Return the numbers of batches that name a different previous batch than the one that came, or none."""
        rows, mine = self.rows, self.first & self.is_of_day & (self.rows.begin > 1)
        # Nearly every batch names the row before it, so only the others are looked up.
        follows = (rows.run[1:] == rows.run[:-1]) & (rows.begin[1:] == rows.end[:-1] + 1)
        mine[1:] &= ~(follows & (rows.previous[1:] == rows.digest[:-1]).all(axis=1))
        run, number, previous = rows.run[mine], rows.begin[mine], rows.previous[mine]
        if not len(run):
            return NumberRanges(run, number, number)
        known = pc.is_in(_binary(run, number - 1), value_set=_binary(rows.run, rows.end))
        matched = pc.is_in(_binary(run, number - 1, previous), value_set=_binary(rows.run, rows.end, rows.digest))
        wrong = pc.and_not(known, matched).to_numpy(zero_copy_only=False) | ~previous.any(axis=1)
        return _numbers(run, number, wrong)

    def heads(self, last: Ints) -> dict[int, str]:
        """Return the hash of each run's last batch, in hex; if there are several, of the one that was stored first."""
        rows = self.rows.take(self.is_of_day & (self.rows.end == last[self.rows.run]) & (self.rows.end != UNNUMBERED))
        rows = rows.take(np.argsort(-rows.high, kind="stable"))
        return {
            int(run): digest.astype(">u8").tobytes().hex() for run, digest in zip(rows.run, rows.digest, strict=True)
        }

    def came(self, runs: int) -> tuple[Ints, Ints]:
        """Return when the first and the last of each run's batches of the day came, without repetitions."""
        rows = self.rows.take(self.first & self.is_of_day)
        last = np.full(runs, -1, np.int64)
        np.maximum.at(last, rows.run, rows.high)
        return lowest(rows.run, rows.low, runs), last


def lowest(run: Ints, values: Ints, runs: int) -> Ints:
    """Return the lowest value of each run; 0 of a run without any."""
    lowest = np.full(runs, np.iinfo(np.int64).max, np.int64)
    np.minimum.at(lowest, run, values)
    return np.where(np.isin(np.arange(runs), run), lowest, 0)


def _binary(*columns: NDArray[Any]) -> pa.Array:
    """Return rows of integers as values that can be looked up."""
    joined = np.column_stack([column.astype(np.uint64) for column in columns])
    kind = pa.binary(joined.shape[1] * joined.itemsize)
    return pa.Array.from_buffers(kind, len(joined), [None, pa.py_buffer(np.ascontiguousarray(joined))])


def _numbers(run: Ints, number: Ints, chosen: Mask) -> NumberRanges:
    """Return the chosen ones among sorted numbers, each once."""
    run, number = run[chosen], number[chosen]
    new = np.ones(len(run), bool)
    new[1:] = (run[1:] != run[:-1]) | (number[1:] != number[:-1])
    return NumberRanges(run[new], number[new], number[new])
