"""Exchanges of each flow by the hour: a table of days, 24 hours of UTC packed in a row.

With a row for each hour, ten thousand flows and ninety days would be twenty million rows, and take minutes to read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.checked_rows import DamagedDatabaseError, row_check

HOUR_SECONDS = 3_600
_DAY_HOURS = 24
_TYPE = np.dtype("<i4")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_KINDS = 3  # exchanges of each hour, then how many of them were ok, then how many failed on the bus
_FORMER_KINDS = 2  # before format 3, which has the last of these

SCHEMA = f"""
CREATE TABLE hours (
    flow INTEGER, day INTEGER, counts BLOB, {row_check("flow", "day", "counts")}, PRIMARY KEY (flow, day)
) WITHOUT ROWID;
"""

HourChanges = Mapping[tuple[int, int], tuple[int, int, int]]
"""By (flow, hour since 1970): how many more exchanges there were, how many more were ok, and failed on the bus."""


def add_hours(database: sqlite3.Connection, changes: HourChanges) -> None:
    """Add to hours, writing each day's row once."""
    days: dict[tuple[int, int], NDArray[np.int32]] = {}
    for (flow, hour), more in changes.items():
        day, of_day = divmod(hour, _DAY_HOURS)
        counts = days.get((flow, day))
        if counts is None:
            counts = days[flow, day] = _read_day(database, flow, day)
        # Summaries within their ranges cannot overflow an hour, unless somebody sends one for every second of it.
        counts[:, of_day] = np.clip(counts[:, of_day].astype(np.int64) + more, 0, np.iinfo(_TYPE).max)
    database.executemany(
        "INSERT OR REPLACE INTO hours VALUES (?, ?, ?)",
        [(*key, counts.tobytes()) for key, counts in sorted(days.items(), key=lambda item: item[0])],
    )


def _read_day(database: sqlite3.Connection, flow: int, day: int) -> NDArray[np.int32]:
    row = database.execute("SELECT counts FROM hours WHERE flow = ? AND day = ?", (flow, day)).fetchone()
    counts = np.zeros(_KINDS * _DAY_HOURS, _TYPE) if row is None else np.frombuffer(row[0], _TYPE).copy()
    return counts.reshape(_KINDS, _DAY_HOURS)


def read_hours(database: sqlite3.Connection, flows: Iterable[int], span: range) -> NDArray[np.int32]:
    """Return exchanges, how many were ok and how many failed on the bus, of f flows in h hours since 1970: (3, f, h)."""
    ids = list(flows)
    first, end = span.start // _DAY_HOURS, -(-span.stop // _DAY_HOURS)
    by_day = np.zeros((_KINDS, len(ids), end - first, _DAY_HOURS), _TYPE)
    for position, flow in enumerate(ids):
        rows = database.execute(
            "SELECT day, counts FROM hours WHERE flow = ? AND day >= ? AND day < ?", (flow, first, end)
        ).fetchall()
        if rows:
            days = np.array([day for day, _ in rows]) - first
            counts = np.frombuffer(b"".join([packed for _, packed in rows]), _TYPE)
            by_day[:, position, days] = counts.reshape(-1, _KINDS, _DAY_HOURS).transpose(1, 0, 2)
    within = slice(span.start - first * _DAY_HOURS, span.stop - first * _DAY_HOURS)
    return by_day.reshape(_KINDS, len(ids), (end - first) * _DAY_HOURS)[:, :, within]


def widen_hours(database: sqlite3.Connection) -> None:
    """Add to hours of before format 3 how many exchanges failed on the bus, by the share of it in the failures of that day.

    Raises DamagedDatabaseError.
    """
    failures = {
        (flow, day): (bus, provider)
        for flow, day, bus, provider in database.execute(
            "SELECT flow, day, bus_failures, provider_failures FROM volume"
        )
    }
    widened = []
    for flow, day, packed in database.execute("SELECT flow, day, counts FROM hours"):
        if len(packed) != _FORMER_KINDS * _DAY_HOURS * _TYPE.itemsize:
            raise DamagedDatabaseError("its hours")
        exchanges, ok = np.frombuffer(packed, _TYPE).reshape(_FORMER_KINDS, _DAY_HOURS)
        bus, provider = failures.get((flow, _EPOCH_DAY + day), (0, 0))
        share = bus / (bus + provider) if bus else 0.0
        counts = np.stack([exchanges, ok, np.round((exchanges - ok) * share)]).astype(_TYPE)
        widened.append((counts.tobytes(), flow, day))
    database.executemany("UPDATE hours SET counts = ? WHERE flow = ? AND day = ?", widened)


def drop_hours(database: sqlite3.Connection, oldest_hour: int) -> None:
    """Drop days that ended before an hour."""
    database.execute("DELETE FROM hours WHERE day < ?", (oldest_hour // _DAY_HOURS,))
