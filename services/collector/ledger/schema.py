"""Defines the collector's state: SQLite tables whose rows have checksums, and requests (docs/exchange.md §3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from services.collector.ledger.access import cannot, set_aside
from services.collector.ledger.requests import Requests, folder_of
from services.collector.ledger.summary import SummaryCounts
from services.collector.ledger.summary_rows import added
from services.core import checked_rows
from services.core.checked_rows import DamagedDatabaseError, row_check
from services.core.errors import StateError

_FORMAT: Final = 9

# fact: among others the number of the last transaction of the requests.
# summary: unpublished while revision > published.
# idle: pairs that may be forgotten (parties.py).
# No column holds anything personal.
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
CREATE TABLE summary (
    pair INTEGER NOT NULL, slot INTEGER NOT NULL, {", ".join(f"{name} INTEGER NOT NULL" for name in SummaryCounts.FIELDS)},
    buckets BLOB NOT NULL, revision INTEGER NOT NULL, published INTEGER NOT NULL,
    {row_check("pair", "slot", *SummaryCounts.FIELDS, "buckets", "revision", "published")}, PRIMARY KEY (pair, slot)
) WITHOUT ROWID;
CREATE INDEX summary_unpublished ON summary (revision) WHERE revision > published;
CREATE TABLE idle (pair INTEGER PRIMARY KEY, {row_check("pair")})"""


def open_state(path: str, *, created_ms: int, slot_seconds: int, span_ms: int) -> tuple[sqlite3.Connection, Requests]:
    """Open or create a database and its requests; "" is a temporary state. Only one process may hold it. Raises StateError.

    A damaged state, even if only a value is damaged, is set aside. Everything that the sources still have is read again
    into a new one. Summaries are not checked here (gradual_check.py), and requests when they are read.

    Revisions start at the moment of creation in milliseconds and keep up with the clock. So a state that was lost and
    recreated, or an older copy that was restored, still outranks what was published before, because a transaction with
    its sync to disk takes longer than a millisecond.
    """
    facts = {
        **dict.fromkeys(("exchanges", "orphans", "horizon", "cleared", "dropped_before", "requests"), 0),
        "revision": created_ms,
        "slot_seconds": slot_seconds,
        "span_ms": span_ms,
    }
    try:
        return _open(path, facts)
    except (OSError, sqlite3.Error, UnicodeDecodeError, DamagedDatabaseError) as error:
        if not checked_rows.is_damage(error):
            raise _unusable(path, error) from error
        damage = error
    try:
        set_aside(path, damage)
        return _open(path, facts)
    except (OSError, sqlite3.Error, DamagedDatabaseError) as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: Exception) -> StateError:
    return cannot(path, "opened", "another process uses it" if "locked" in str(error) else str(error))


def _open(path: str, facts: Mapping[str, int]) -> tuple[sqlite3.Connection, Requests]:
    with ExitStack() as opened:
        database = opened.enter_context(closing(_open_database(path, facts)))
        requests = opened.enter_context(closing(Requests(folder_of(Path(path)) if path else None)))
        (number,) = database.execute("SELECT value FROM fact WHERE name = 'requests'").fetchone()
        requests.return_to(number)
        opened.pop_all()
    return database, requests


def _open_database(path: str, facts: Mapping[str, int]) -> sqlite3.Connection:
    database = checked_rows.connect(path, isolation_level=None, timeout=0, cached_statements=256)
    try:
        _prepare(database, path, facts)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: str, facts: Mapping[str, int]) -> None:
    """Lock the database, create its tables if it is new, and check the small ones."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA journal_mode = {'WAL' if path else 'OFF'}")
    database.execute(f"PRAGMA synchronous = {'FULL' if path else 'OFF'}")
    database.execute("PRAGMA cache_size = -16384")
    database.create_function("added", 2, added, deterministic=True)
    database.execute("BEGIN EXCLUSIVE")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, _FORMAT}:
        raise StateError(
            f"the collector's state {path} was written by another version: move it and {folder_of(Path(path)).name} away to start anew"
        )
    if version == 0:
        for statement in _TABLES.split(";"):
            database.execute(statement)
        database.executemany("INSERT INTO fact VALUES (?, ?)", facts.items())
        database.execute(f"PRAGMA user_version = {_FORMAT}")
    database.execute("COMMIT")
    checked_rows.verify(database, _TABLES, without=("summary",))
