"""The table of cells: one tally per pair and slot, with the revision it is at and the one the bus has acknowledged."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.collector.ledger.summary import SummaryCounts
from services.core.model import DURATION_BUCKETS

__all__ = [
    "LedgerTotals",
    "SummaryRow",
    "acknowledge",
    "added",
    "change",
    "counted",
    "forget",
    "revise",
    "sums",
    "unpublished",
    "waiting",
]

_BUCKETS = struct.Struct(f"<{DURATION_BUCKETS}q")
_SUMS = "coalesce(sum(count), 0), coalesce(sum(orphans), 0)"
_NUMBER = np.dtype("<i8")
_LARGEST = 1 << 61  # that a sum may be, so that two of them stay within the 64 bits of the table
_LEAST = [0 if name in SummaryCounts.SUMS and name != "skew_halves" else -_LARGEST for name in SummaryCounts.FIELDS]


def _sum(name: str, least: int) -> str:
    """Write how a number changes: a sum stays within its bounds, beyond which it is not exact any more."""
    changed = f"{name} + excluded.{name}"
    return f"{name} = max({least}, min({_LARGEST}, {changed}))" if name in SummaryCounts.SUMS else f"{name} = {changed}"


_CHANGE = f"""INSERT INTO cell VALUES ({", ".join("?" * (len(SummaryCounts.FIELDS) + 5))}) ON CONFLICT (pair, slot) DO UPDATE SET
{", ".join(map(_sum, SummaryCounts.FIELDS, _LEAST))},
buckets = added(buckets, excluded.buckets), revision = excluded.revision"""  # noqa: S608  # names of ours


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The tally of one pair in one slot (epoch seconds)."""

    pair: int
    slot: int
    tally: SummaryCounts
    revision: int
    published: int


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Exchanges in the summaries kept, those with one side only, and summaries not yet acknowledged by the bus."""

    exchanges: int
    orphans: int
    unpublished: int


def added(one: bytes, other: bytes) -> bytes:
    """Add the buckets of two tallies, packed as the table has them: for SQLite to call."""
    return (np.frombuffer(one, _NUMBER) + np.frombuffer(other, _NUMBER)).tobytes()


def _cell(row: Sequence[Any]) -> SummaryRow:
    pair, slot, *numbers, buckets, revision, published = row
    # Where sums had no bounds yet, SQLite went over to floating point beyond 64 bits.
    within = [min(max(int(number), least), _LARGEST) for number, least in zip(numbers, _LEAST, strict=True)]
    return SummaryRow(pair, slot, SummaryCounts(within, list(_BUCKETS.unpack(buckets))), revision, published)


def _row(key: tuple[int, int], tally: SummaryCounts, revision: int) -> tuple[Any, ...]:
    numbers = [min(max(number, -_LARGEST), _LARGEST) for number in tally.numbers]
    return (*key, *numbers, _BUCKETS.pack(*tally.buckets), revision, 0)


def change(database: sqlite3.Connection, changes: Mapping[tuple[int, int], SummaryCounts], revision: int) -> None:
    """Add to the tally of each (pair, slot), which is then at ``revision``; in the order of the table, so that what lies
    together is touched together. Sums stop at 2^61 and at 0 (skew at both signs of it), and are exact in between.
    """
    database.executemany(_CHANGE, (_row(key, changes[key], revision) for key in sorted(changes)))


def revise(database: sqlite3.Connection, pairs: Sequence[int], revision: int) -> None:
    """Raise every cell of these pairs to ``revision``, so that it is published anew."""
    database.executemany("UPDATE cell SET revision = ? WHERE pair = ?", [(revision, pair) for pair in pairs])


def counted(database: sqlite3.Connection) -> Iterator[SummaryRow]:
    """Every cell that counts at least one exchange, by pair and slot."""
    return map(_cell, database.execute("SELECT * FROM cell WHERE count > 0 ORDER BY pair, slot"))


def unpublished(database: sqlite3.Connection, limit: int) -> list[SummaryRow]:
    """Cells the bus has not acknowledged at their present revision, the longest waiting first."""
    rows = database.execute("SELECT * FROM cell WHERE revision > published ORDER BY revision LIMIT ?", (limit,))
    return [_cell(row) for row in rows]


def acknowledge(database: sqlite3.Connection, sent: Sequence[tuple[int, int, int]]) -> None:
    """Mark (pair, slot, revision) as acknowledged; a cell that has changed since stays unpublished."""
    database.executemany(
        "UPDATE cell SET published = max(published, ?3) WHERE pair = ?1 AND slot = ?2",
        sent,
    )


def forget(database: sqlite3.Connection, before_slot: int) -> tuple[int, int]:
    """Drop published cells of slots before this one; return how many exchanges and orphans they counted."""
    those = "FROM cell WHERE slot < ? AND revision = published"
    dropped = database.execute(f"SELECT {_SUMS} {those}", (before_slot,)).fetchone()
    database.execute(f"DELETE {those}", (before_slot,))
    return int(dropped[0]), int(dropped[1])


def sums(database: sqlite3.Connection) -> tuple[int, int]:
    """Exchanges and orphans in all cells, which are all looked at."""
    exchanges, orphans = database.execute(f"SELECT {_SUMS} FROM cell").fetchone()  # noqa: S608  # names of ours
    return exchanges, orphans


def waiting(database: sqlite3.Connection) -> int:
    """How many cells the bus has not acknowledged at their present revision."""
    return int(database.execute("SELECT count(*) FROM cell WHERE revision > published").fetchone()[0])
