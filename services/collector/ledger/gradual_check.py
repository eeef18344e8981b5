"""Checks the large tables of the collector's state a part at a time, so that a start does not wait for it (ADR 124)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from services.core import checked_rows
from services.core.checked_rows import DamagedDatabaseError

LARGE: Final = ("request", "summary")
"""The tables that are checked so."""

_ROWS: Final = 10_000  # of a part, which takes a tenth of a second
_LEAST: Final = -(1 << 63)


class _Rows(NamedTuple):
    """The rows of a table, or the entries of an index, in the order of their keys.

    ``damaged`` is the condition for a damaged one, ``first`` is what precedes all keys, and ``indexed`` is the condition
    for rows that the index holds.
    """

    name: str
    source: str
    keys: str
    first: Sequence[Any]
    damaged: str
    indexed: str = "TRUE"


def _parts(database: sqlite3.Connection) -> list[_Rows]:
    """Return what is checked: each row's checksum, that the index has it, and that requests have each entry of theirs.

    Another entry in the index of summaries would do no harm.
    """
    request, summary = (f"intact IS NOT {checked_rows.check_of(database, table)}" for table in LARGE)
    message, waiting = "message IS NOT NULL", "revision > published"
    # Of two rows of one table, SQLite takes the columns of the inner one where none is named. The + keeps it from
    # looking into the index that is compared.
    return [
        _Rows(
            "summary",
            "summary AS row",
            "pair, slot",
            (_LEAST, _LEAST),
            f"{summary} OR {waiting} AND NOT EXISTS (SELECT 1 FROM summary INDEXED BY summary_unpublished"  # noqa: S608
            f" WHERE {waiting} AND revision = row.revision AND pair = row.pair AND slot = row.slot)",
        ),
        _Rows(
            "request",
            "request AS row",
            "id",
            (b"",),
            f"{request} OR {message} AND NOT EXISTS (SELECT 1 FROM request INDEXED BY request_message"  # noqa: S608
            " WHERE message = row.message AND id = row.id)",
        ),
        _Rows(
            "request_message",
            "request AS entry INDEXED BY request_message",
            "message, id",
            (_LEAST, b""),
            "NOT EXISTS (SELECT 1 FROM request WHERE id = entry.id AND +message = entry.message)",
            message,
        ),
    ]


class GradualCheck:
    """One check of all rows that the tables hold. Rows that are written meanwhile may be checked or not."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._left = _parts(database)
        self._after = self._left[0].first

    def step(self) -> bool:
        """Check the next rows, and return whether any are left.

        Raises DamagedDatabaseError, and sqlite3.Error when the file cannot be read.
        """
        if not self._left:
            return False
        rows = self._left[0]
        found = self._database.execute(
            f"SELECT {rows.keys}, {rows.damaged} FROM {rows.source} WHERE {rows.indexed}"  # noqa: S608  # names of ours
            f" AND ({rows.keys}) > ({', '.join('?' * len(rows.first))}) ORDER BY {rows.keys} LIMIT {_ROWS}",
            self._after,
        ).fetchall()
        keys = [self._after, *(key for *key, _ in found)]
        if any(damaged for *_, damaged in found) or any(one >= other for one, other in pairwise(map(tuple, keys))):
            raise DamagedDatabaseError(f"a row of {rows.name}")
        self._after = keys[-1]
        if len(found) < _ROWS:
            self._left.pop(0)
            self._after = self._left[0].first if self._left else ()
        return bool(self._left)
