"""Defines the tables of the exchange volumes, and converts files of former formats."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from services.core import checked_rows
from services.core.errors import StateError
from services.scorer.exchanges import flows, hourly, summaries

_FORMAT: Final = 5
_FORMER: Final = range(1, _FORMAT)
"""Formats that are converted. Format 1, of version 0.2.0, has no checksums."""

_DETAILED: Final = 4
"""From this format on, there are details. Before format 5, the position lacks when its message was stored."""

_NARROW: Final = 2
"""Up to this format, hours do not say which failures were on the bus."""

_POSITION: Final = f"""
CREATE TABLE position (
    stream TEXT PRIMARY KEY, created TEXT, sequence INTEGER, stored REAL,
    {checked_rows.row_check("stream", "created", "sequence", "stored")}
) WITHOUT ROWID;
"""

TABLES: Final = f"""
{_POSITION}
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
"""The columns of former formats, by table."""


def _remade(tables: str, kept: Mapping[str, str]) -> str:
    """Return a script that creates tables again, with the columns of each that are kept."""
    return f"""
{"".join(f"ALTER TABLE {name} RENAME TO former_{name};" for name in kept)}
{tables}
{"".join(f"INSERT INTO {name} ({of}) SELECT {of} FROM former_{name}; DROP TABLE former_{name};" for name, of in kept.items())}
"""  # noqa: S608  # names of ours


_TAKE_OVER: Final = f"DROP INDEX summary_day; {_remade(TABLES, _KEPT)}"
_TAKE_OVER_DETAILED: Final = _remade(_POSITION, {"position": _KEPT["position"]})


def prepare(database: sqlite3.Connection, path: Path | str) -> None:
    """Create the tables in a new file, or convert those of a former format.

    Raises StateError for another format, and DamagedDatabaseError.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    schema = checked_rows.schema_of(database)
    if not schema and pages <= 1:  # a damaged file may look as if it had no tables
        _make(database, TABLES, _FORMAT)
    elif version in _FORMER and _is_former(schema, version):
        _make(database, _TAKE_OVER_DETAILED if version >= _DETAILED else _TAKE_OVER, version)
    elif version in _FORMER or (version == _FORMAT) != (schema == checked_rows.schema_in(TABLES)):
        raise checked_rows.DamagedDatabaseError("its schema")
    elif version != _FORMAT:
        raise StateError(
            f"the exchange volumes in {path} have format {version}, and this version writes {_FORMAT}: move the "
            "file away to start anew from what EXCHANGES still holds"
        )


def _is_former(schema: Collection[str], version: int) -> bool:
    """Return whether the tables may be those of a former format."""
    detailed = any("details" in sql for sql in schema)
    return detailed == (version >= _DETAILED) and not checked_rows.schema_in(_POSITION) <= set(schema)


def _make(database: sqlite3.Connection, script: str, version: int) -> None:
    """Run a script in one transaction, after which the file has the present format."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        for statement in script.split(";"):
            database.execute(statement)
        if version <= _NARROW:
            hourly.widen_hours(database)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
