"""What each carrier carried by the hour: a table of days, 24 hours of UTC packed in a row.

A row an hour would be twenty million of them for ten thousand carriers and ninety days, and take minutes to read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["HOUR_SECONDS", "SCHEMA", "Changes", "add", "forget", "read"]

HOUR_SECONDS = 3_600
_DAY_HOURS = 24
_TYPE = np.dtype("<i4")
_WIDTH = 2 * _DAY_HOURS  # exchanges of each hour, then how many of them were ok

SCHEMA = """
CREATE TABLE hours (
    carrier INTEGER, day INTEGER, counts BLOB, PRIMARY KEY (carrier, day)
) WITHOUT ROWID;
"""

Changes = Mapping[tuple[int, int], tuple[int, int]]
"""By (carrier, hour since 1970): how many more exchanges there were, and how many more were ok."""


def add(database: sqlite3.Connection, changes: Changes) -> None:
    """Add to hours, each day's row once."""
    days: dict[tuple[int, int], NDArray[np.int32]] = {}
    for (carrier, hour), more in changes.items():
        day, of_day = divmod(hour, _DAY_HOURS)
        counts = days.get((carrier, day))
        if counts is None:
            counts = days[carrier, day] = _row(database, carrier, day)
        counts[:, of_day] += more
    database.executemany(
        "INSERT OR REPLACE INTO hours VALUES (?, ?, ?)",
        [(*key, counts.tobytes()) for key, counts in sorted(days.items(), key=lambda item: item[0])],
    )


def _row(database: sqlite3.Connection, carrier: int, day: int) -> NDArray[np.int32]:
    found = database.execute("SELECT counts FROM hours WHERE carrier = ? AND day = ?", (carrier, day)).fetchone()
    kept = np.zeros(_WIDTH, _TYPE) if found is None else np.frombuffer(found[0], _TYPE).copy()
    return kept.reshape(2, _DAY_HOURS)


def read(
    database: sqlite3.Connection, carriers: Iterable[int], span: range
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return exchanges, and how many of them were ok, of c carriers in h hours since 1970: (c, h) each."""
    ids = list(carriers)
    first, end = span.start // _DAY_HOURS, -(-span.stop // _DAY_HOURS)
    found = np.zeros((2, len(ids), end - first, _DAY_HOURS), _TYPE)
    for at, carrier in enumerate(ids):
        rows = database.execute(
            "SELECT day, counts FROM hours WHERE carrier = ? AND day >= ? AND day < ?", (carrier, first, end)
        ).fetchall()
        if rows:
            days = np.array([day for day, _ in rows]) - first
            counts = np.frombuffer(b"".join([packed for _, packed in rows]), _TYPE)
            found[:, at, days] = counts.reshape(-1, 2, _DAY_HOURS).transpose(1, 0, 2)
    within = slice(span.start - first * _DAY_HOURS, span.stop - first * _DAY_HOURS)
    exchanges, ok = found.reshape(2, len(ids), (end - first) * _DAY_HOURS)[:, :, within]
    return exchanges, ok


def forget(database: sqlite3.Connection, oldest_hour: int) -> None:
    """Drop days that ended before an hour."""
    database.execute("DELETE FROM hours WHERE day < ?", (oldest_hour // _DAY_HOURS,))
