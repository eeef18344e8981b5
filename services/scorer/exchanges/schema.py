"""Defines the tables of the exchange volumes, and converts files of version 0.2.0."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.core import checked_rows
from services.core.errors import StateError
from services.scorer.exchanges import flows, hourly, summaries

_FORMAT: Final = 5
_RELEASED: Final = 1
"""The format of version 0.2.0, which is converted. It has no checksums and no details."""

TABLES: Final = f"""
CREATE TABLE position (
    stream TEXT PRIMARY KEY, created TEXT, sequence INTEGER, stored REAL,
    {checked_rows.row_check("stream", "created", "sequence", "stored")}
) WITHOUT ROWID;
{flows.SCHEMA}
{hourly.SCHEMA}
{summaries.SCHEMA}
"""

_KEPT: Final = {
    "position": "stream, created, sequence",
    "flow": "id, bus, client, service, meta, alias",
    "hours": "flow, day, counts",
    "summary": "flow, slot_start, seconds, revision, day, count, ok, bus_failures, provider_failures",
    "length": "seconds",
    "volume": "flow, day, count, ok, bus_failures, provider_failures, last_slot",
}
"""The columns of the released format, by table."""

_TAKE_OVER: Final = f"""
DROP INDEX summary_day;
{"".join(f"ALTER TABLE {name} RENAME TO former_{name};" for name in _KEPT)}
{TABLES}
{"".join(f"INSERT INTO {name} ({of}) SELECT {of} FROM former_{name}; DROP TABLE former_{name};" for name, of in _KEPT.items())}
"""  # noqa: S608  # names of ours


def prepare(database: sqlite3.Connection, path: Path | str) -> None:
    """Create the tables in a new file, or convert those of the released format.

    Raises StateError for another format, and DamagedDatabaseError.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    schema = checked_rows.schema_of(database)
    if not schema and pages <= 1:  # a damaged file may look as if it had no tables
        _make(database, TABLES)
    elif version == _RELEASED and not any("details" in sql for sql in schema):
        _make(database, _TAKE_OVER, convert=hourly.widen_hours)
    elif version == _RELEASED or (version == _FORMAT) != (schema == checked_rows.schema_in(TABLES)):
        raise checked_rows.DamagedDatabaseError("its schema")
    elif version != _FORMAT:
        raise StateError(
            f"the exchange volumes in {path} have format {version}, and this version writes {_FORMAT}: move the "
            "file away to start anew from what EXCHANGES still holds"
        )


def _make(
    database: sqlite3.Connection, script: str, convert: Callable[[sqlite3.Connection], None] = lambda _: None
) -> None:
    """Run a script and convert its rows in one transaction, after which the file has the present format."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        for statement in script.split(";"):
            database.execute(statement)
        convert(database)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
