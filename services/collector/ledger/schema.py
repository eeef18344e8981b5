"""Defines the SQLite tables of the collector's state, whose rows have checksums (docs/exchange.md §3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from services.collector.ledger.access import set_aside
from services.collector.ledger.gradual_check import LARGE
from services.collector.ledger.summary import SummaryCounts
from services.collector.ledger.summary_rows import added
from services.core import checked_rows
from services.core.checked_rows import DamagedDatabaseError, row_check
from services.core.errors import StateError

_FORMAT: Final = 8
_FORMER: Final = (5, 6, 7)
"""Formats that are converted. Format 5 has no checksums, and neither 5 nor 6 has messages."""

*_COUNTS, _ = SummaryCounts.FIELDS

# request: the sides of each request id within the pairing span, for de-duplication and pairing.
# summary: unpublished while revision > published; its repeats are NULL if they were not counted.
# idle: pairs that may be forgotten (parties.py).
# No column holds anything personal. The checksum of a request is written with its row (sides.py), because calling back
# for it takes as long as writing the row.
_TABLES: Final = f"""
CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL, {row_check("name", "value")}) WITHOUT ROWID;
CREATE TABLE source (
    name TEXT PRIMARY KEY, offset INTEGER NOT NULL, line INTEGER NOT NULL, asked_from_ms INTEGER,
    {row_check("name", "offset", "line", "asked_from_ms")}
) WITHOUT ROWID;
CREATE TABLE pair (
    id INTEGER PRIMARY KEY, client TEXT NOT NULL, provider TEXT NOT NULL, service TEXT NOT NULL, meta INTEGER NOT NULL,
    {row_check("id", "client", "provider", "service", "meta")}, UNIQUE (client, service)
);
CREATE TABLE request (
    id BLOB PRIMARY KEY, newest INTEGER NOT NULL, sides BLOB NOT NULL, message INTEGER, repeated INTEGER NOT NULL DEFAULT 0,
    intact INTEGER
) WITHOUT ROWID;
CREATE INDEX request_message ON request (message) WHERE message IS NOT NULL;
CREATE TABLE summary (
    pair INTEGER NOT NULL, slot INTEGER NOT NULL, {", ".join(f"{name} INTEGER NOT NULL" for name in _COUNTS)}, repeats INTEGER,
    buckets BLOB NOT NULL, revision INTEGER NOT NULL, published INTEGER NOT NULL,
    {row_check("pair", "slot", *SummaryCounts.FIELDS, "buckets", "revision", "published")}, PRIMARY KEY (pair, slot)
) WITHOUT ROWID;
CREATE INDEX summary_unpublished ON summary (revision) WHERE revision > published;
CREATE TABLE idle (pair INTEGER PRIMARY KEY, {row_check("pair")})"""


def open_database(path: str, *, created_ms: int, slot_seconds: int, span_ms: int) -> sqlite3.Connection:
    """Open or create the database; "" is a temporary one. Only one process may hold it. Raises StateError.

    A damaged file, even if only a value is damaged, is set aside. Everything that the sources still have is read again
    into a new one. The rows of the LARGE tables are not checked here (gradual_check.py).

    Revisions start at the moment of creation in milliseconds and keep up with the clock. So a state that was lost and
    recreated, or an older copy that was restored, still outranks what was published before, because a transaction with
    its sync to disk takes longer than a millisecond.
    """
    facts = {
        **dict.fromkeys(("exchanges", "orphans", "horizon", "cleared", "dropped_before"), 0),
        "revision": created_ms,
        "slot_seconds": slot_seconds,
        "span_ms": span_ms,
    }
    try:
        return _open(path, facts)
    except (sqlite3.Error, UnicodeDecodeError, DamagedDatabaseError) as error:
        if not checked_rows.is_damage(error):
            raise _unusable(path, error) from error
        damage = error
    try:
        set_aside(path, damage)
        return _open(path, facts)
    except (OSError, sqlite3.Error, DamagedDatabaseError) as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: Exception) -> StateError:
    reason = "another process uses it" if "locked" in str(error) else str(error)
    return StateError(f"the collector's state {path} cannot be opened: {reason}")


def _open(path: str, facts: Mapping[str, int]) -> sqlite3.Connection:
    database = checked_rows.connect(path, isolation_level=None, timeout=0, cached_statements=256)
    try:
        _prepare(database, path, facts)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: str, facts: Mapping[str, int]) -> None:
    """Lock the database, create its tables or convert those of a former format, and check the small ones."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA journal_mode = {'WAL' if path else 'OFF'}")
    database.execute(f"PRAGMA synchronous = {'FULL' if path else 'OFF'}")
    database.execute("PRAGMA cache_size = -65536")
    database.create_function("added", 2, added, deterministic=True)
    database.execute("BEGIN EXCLUSIVE")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, *_FORMER, _FORMAT}:
        raise StateError(f"the collector's state {path} was written by another version: move it away to start anew")
    if version != _FORMAT:
        _make_tables(database)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
    if version == 0:
        database.executemany("INSERT INTO fact VALUES (?, ?)", facts.items())
    database.execute("COMMIT")
    checked_rows.verify(database, _TABLES, without=LARGE)


def _make_tables(database: sqlite3.Connection) -> None:
    """Create the tables, with the rows of a former format if there are any."""
    former = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    if former:
        database.execute("DROP INDEX summary_unpublished")
        database.execute("DROP INDEX IF EXISTS request_message")
    for name in former:
        database.execute(f"ALTER TABLE {name} RENAME TO former_{name}")
    for statement in _TABLES.split(";"):
        database.execute(statement)
    for name in former:  # columns that SQLite makes itself are not listed
        columns = ", ".join(column[1] for column in database.execute(f"PRAGMA table_info(former_{name})"))
        database.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM former_{name}")  # noqa: S608  # names of ours
        database.execute(f"DROP TABLE former_{name}")
    if former:
        database.execute(f"UPDATE request SET intact = {checked_rows.check_of(database, 'request')}")  # noqa: S608  # names of ours
