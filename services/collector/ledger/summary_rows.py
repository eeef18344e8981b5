"""Stores the table of summaries: counts per pair and slot, with their present and their acknowledged revision."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.collector.ledger.summary import SummaryCounts
from services.core.model import DURATION_BUCKETS

_BUCKETS = struct.Struct(f"<{DURATION_BUCKETS}q")
_NUMBER = np.dtype("<i8")
_LARGEST = 1 << 61  # so that the sum of two fits in SQLite's 64 bits
_LEAST = [0 if name in SummaryCounts.SUMS and name != "skew_halves" else -_LARGEST for name in SummaryCounts.FIELDS]


def _update(name: str, least: int) -> str:
    """Return the SQL that adds to a field. A sum stays within its bounds, beyond which it would not be exact."""
    changed = f"{name} + excluded.{name}"
    return f"{name} = max({least}, min({_LARGEST}, {changed}))" if name in SummaryCounts.SUMS else f"{name} = {changed}"


_ADD = f"""INSERT INTO summary VALUES ({", ".join("?" * (len(SummaryCounts.FIELDS) + 5))})
ON CONFLICT (pair, slot) DO UPDATE SET {", ".join(map(_update, SummaryCounts.FIELDS, _LEAST))},
buckets = added(buckets, excluded.buckets), revision = excluded.revision"""  # noqa: S608  # names of ours


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The counts of one pair in one slot (epoch seconds)."""

    pair: int
    slot: int
    counts: SummaryCounts
    revision: int


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Exchanges in all summaries, those with one side only, and summaries that the bus has not acknowledged.

    ``oldest_unpublished_ms`` is about when the one of these that has waited longest last changed, None if none waits.
    """

    exchanges: int
    orphans: int
    unpublished: int
    oldest_unpublished_ms: int | None = None


def added(buckets: bytes, more: bytes) -> bytes:
    """Add packed buckets, as a function of SQLite."""
    return (np.frombuffer(buckets, _NUMBER) + np.frombuffer(more, _NUMBER)).tobytes()


def _from_row(row: Sequence[Any]) -> SummaryRow:
    pair, slot, *numbers, buckets, revision, _, _ = row
    return SummaryRow(pair, slot, SummaryCounts(numbers, list(_BUCKETS.unpack(buckets))), revision)


def _to_row(key: tuple[int, int], counts: SummaryCounts, revision: int) -> tuple[Any, ...]:
    numbers = counts.numbers
    if max(numbers) > _LARGEST or min(numbers) < -_LARGEST:
        numbers = [min(max(number, -_LARGEST), _LARGEST) for number in numbers]
    return (*key, *numbers, _BUCKETS.pack(*counts.buckets), revision, 0)


def add_counts(database: sqlite3.Connection, changes: Mapping[tuple[int, int], SummaryCounts], revision: int) -> None:
    """Add to the summary of each (pair, slot), which then has ``revision``.

    Rows are written in the order of the table, so that neighbours on disk are written together. Sums stop at 2^61 and at 0
    (the skew at both signs of 2^61), and are exact in between.
    """
    database.executemany(_ADD, (_to_row(key, changes[key], revision) for key in sorted(changes)))


def without_dropped(
    database: sqlite3.Connection, changes: Mapping[tuple[int, int], SummaryCounts], dropped_before: int
) -> dict[tuple[int, int], SummaryCounts]:
    """Return the changes that are not empty, except those of dropped summaries, which no change recreates.

    In slots before ``dropped_before``, only summaries that are still in the table, because they are not published, can
    change.
    """

    def is_there(key: tuple[int, int]) -> bool:
        return database.execute("SELECT 1 FROM summary WHERE pair = ? AND slot = ?", key).fetchone() is not None

    return {key: counts for key, counts in changes.items() if counts and (key[1] >= dropped_before or is_there(key))}


def read_nonempty(database: sqlite3.Connection) -> Iterator[SummaryRow]:
    """Yield every summary that counts at least one exchange, by pair and slot."""
    return map(_from_row, database.execute("SELECT * FROM summary WHERE count > 0 ORDER BY pair, slot"))


def read_unpublished(database: sqlite3.Connection, limit: int) -> list[SummaryRow]:
    """Return summaries that the bus has not acknowledged at their present revision, the longest waiting first."""
    rows = database.execute("SELECT * FROM summary WHERE revision > published ORDER BY revision LIMIT ?", (limit,))
    return [_from_row(row) for row in rows]


def acknowledge(database: sqlite3.Connection, sent: Sequence[tuple[int, int, int]]) -> None:
    """Mark each (pair, slot, revision) as acknowledged. A summary that has changed since stays unpublished."""
    database.executemany(
        "UPDATE summary SET published = max(published, ?) WHERE pair = ? AND slot = ?",
        ((revision, pair, slot) for pair, slot, revision in sent),
    )


def unpublish(database: sqlite3.Connection) -> None:
    """Mark all summaries as not acknowledged."""
    database.execute("UPDATE summary SET published = 0 WHERE published > 0")


def drop_published(database: sqlite3.Connection, before_slot: int) -> tuple[int, int]:
    """Drop published summaries of slots before this one; return how many exchanges and orphans they counted.

    The table is sorted by pair, so naming all pairs spares reading the whole table.
    """
    rows = "FROM summary WHERE pair IN (SELECT id FROM pair) AND slot < ? AND revision = published"
    exchanges, orphans = database.execute(
        f"SELECT coalesce(sum(count), 0), coalesce(sum(orphans), 0) {rows}", (before_slot,)
    ).fetchone()
    database.execute(f"DELETE {rows}", (before_slot,))
    return exchanges, orphans


def count_unpublished(database: sqlite3.Connection) -> tuple[int, int | None]:
    """Return how many summaries the bus has not acknowledged at their present revision, and the lowest revision of these."""
    count, lowest = database.execute(
        "SELECT count(*), min(revision) FROM summary WHERE revision > published"
    ).fetchone()
    return count, lowest
