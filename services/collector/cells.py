"""The table of cells: one tally per pair and slot, with the revision it is at and the one the bus has acknowledged."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.collector.summary import Tally
from services.core.evidence import DURATION_BUCKETS

__all__ = ["Cell", "Totals", "acknowledge", "change", "counted", "forget", "revise", "totals", "unpublished"]

_BUCKETS = struct.Struct(f"<{DURATION_BUCKETS}q")


@dataclass(frozen=True, slots=True)
class Cell:
    """The tally of one pair in one slot (epoch seconds)."""

    pair: int
    slot: int
    tally: Tally
    revision: int
    published: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Exchanges in the summaries kept, those with one side only, and summaries not yet acknowledged by the bus."""

    exchanges: int
    orphans: int
    unpublished: int


def _cell(row: Sequence[Any]) -> Cell:
    pair, slot, *numbers, buckets, revision, published = row
    return Cell(pair, slot, Tally(numbers, list(_BUCKETS.unpack(buckets))), revision, published)


def change(database: sqlite3.Connection, changes: Mapping[tuple[int, int], Tally], revision: int) -> None:
    """Add to the tally of each (pair, slot), which is then at ``revision``."""
    rows = []
    for (pair, slot), tally in changes.items():
        row = database.execute("SELECT * FROM cell WHERE pair = ? AND slot = ?", (pair, slot)).fetchone()
        published = 0
        if row:
            cell = _cell(row)
            tally.merge(cell.tally)
            published = cell.published
        rows.append((pair, slot, *tally.numbers, _BUCKETS.pack(*tally.buckets), revision, published))
    database.executemany("INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def revise(database: sqlite3.Connection, pairs: Sequence[int], revision: int) -> None:
    """Raise every cell of these pairs to ``revision``, so that it is published anew."""
    database.executemany("UPDATE cell SET revision = ? WHERE pair = ?", [(revision, pair) for pair in pairs])


def counted(database: sqlite3.Connection) -> Iterator[Cell]:
    """Every cell that counts at least one exchange, by pair and slot."""
    return map(_cell, database.execute("SELECT * FROM cell WHERE count > 0 ORDER BY pair, slot"))


def unpublished(database: sqlite3.Connection, limit: int) -> list[Cell]:
    """Cells the bus has not acknowledged at their present revision, the longest waiting first."""
    rows = database.execute("SELECT * FROM cell WHERE revision > published ORDER BY revision LIMIT ?", (limit,))
    return [_cell(row) for row in rows]


def acknowledge(database: sqlite3.Connection, sent: Sequence[tuple[int, int, int]]) -> None:
    """Mark (pair, slot, revision) as acknowledged; a cell that has changed since stays unpublished."""
    database.executemany(
        "UPDATE cell SET published = max(published, ?3) WHERE pair = ?1 AND slot = ?2",
        sent,
    )


def forget(database: sqlite3.Connection, before_slot: int) -> None:
    """Drop published cells of slots before this one."""
    database.execute("DELETE FROM cell WHERE slot < ? AND revision = published", (before_slot,))


def totals(database: sqlite3.Connection) -> Totals:
    """Sum over all cells."""
    row = database.execute(
        "SELECT coalesce(sum(count), 0), coalesce(sum(orphans), 0), coalesce(sum(revision > published), 0) FROM cell"
    ).fetchone()
    return Totals(*row)
