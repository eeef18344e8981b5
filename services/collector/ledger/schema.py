"""The SQLite tables of the collector's state (docs/exchange.md §3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from services.collector.ledger.summary import SummaryCounts
from services.collector.ledger.summary_rows import added
from services.core.errors import StateError
from services.core.files import DAMAGED, set_aside
from services.core.log import logger

_FORMAT = 5

# request: the sides of each request id within the pairing span, for de-duplication and pairing. summary: unpublished while
# revision > published. idle: pairs that may be forgotten (parties.py). No column holds anything personal.
_SCHEMA = f"""
CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE source (
    name TEXT PRIMARY KEY, offset INTEGER NOT NULL, line INTEGER NOT NULL, asked_from_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE pair (
    id INTEGER PRIMARY KEY, client TEXT NOT NULL, provider TEXT NOT NULL, service TEXT NOT NULL, meta INTEGER NOT NULL,
    UNIQUE (client, service)
);
CREATE TABLE request (id BLOB PRIMARY KEY, newest INTEGER NOT NULL, sides BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE summary (
    pair INTEGER NOT NULL, slot INTEGER NOT NULL, {", ".join(f"{name} INTEGER NOT NULL" for name in SummaryCounts.FIELDS)},
    buckets BLOB NOT NULL, revision INTEGER NOT NULL, published INTEGER NOT NULL,
    PRIMARY KEY (pair, slot)
) WITHOUT ROWID;
CREATE INDEX summary_unpublished ON summary (revision) WHERE revision > published;
CREATE TABLE idle (pair INTEGER PRIMARY KEY);
PRAGMA user_version = {_FORMAT};
"""


_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FILES = ("", "-wal", "-shm")
"""What SQLite adds to the name of a database for the files that belong to it."""


class _DamagedError(Exception):
    """The structure of a database is not what was written."""


def open_database(path: str, *, created_ms: int, slot_seconds: int, span_ms: int) -> sqlite3.Connection:
    """Open or create the database; "" is a temporary one. Only one process may hold it. Raises StateError.

    A file whose structure is damaged is set aside and a new one made, into which everything is read again that the sources
    still have.

    Revisions start at the moment of creation in milliseconds and keep up with the clock. So a state that was lost and made
    anew, or an older copy that was restored, still outranks what was published before: a transaction with its sync to
    disk takes longer than a millisecond.
    """
    facts = {
        **dict.fromkeys(("exchanges", "orphans", "horizon", "cleared"), 0),
        "revision": created_ms,
        "slot_seconds": slot_seconds,
        "span_ms": span_ms,
    }
    try:
        return _open(path, facts)
    except (sqlite3.Error, _DamagedError) as error:
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF not in _DAMAGES:
            raise _unusable(path, error) from error
        logger().error("ledger_damaged", file=path, reason=str(error), kept_as=f"{Path(path).name}{DAMAGED}")
    try:
        for suffix in _FILES:
            with suppress(FileNotFoundError):
                set_aside(Path(f"{path}{suffix}"))
        return _open(path, facts)
    except (OSError, sqlite3.Error, _DamagedError) as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: Exception) -> StateError:
    reason = "another process uses it" if "locked" in str(error) else str(error)
    return StateError(f"the collector's state {path} cannot be opened: {reason}")


def _open(path: str, facts: Mapping[str, int]) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=0, cached_statements=256)
    try:
        _prepare(database, path, facts)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: str, facts: Mapping[str, int]) -> None:
    """Lock the database, check its structure, and make its tables where it is new."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA journal_mode = {'WAL' if path else 'OFF'}")
    database.execute(f"PRAGMA synchronous = {'FULL' if path else 'OFF'}")
    database.execute("PRAGMA cache_size = -65536")
    database.create_function("added", 2, added, deterministic=True)
    database.execute("BEGIN EXCLUSIVE")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.executemany("INSERT INTO fact VALUES (?, ?)", facts.items())
    database.execute("COMMIT")
    if version not in {0, _FORMAT}:
        raise StateError(f"the collector's state {path} was written by another version: move it away to start anew")
    if (fault := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise _DamagedError(fault)
