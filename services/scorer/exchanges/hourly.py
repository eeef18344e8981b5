"""Stores the exchanges of each flow by the hour, in a table of days with 24 hours of UTC packed in a row.

With a row for each hour, ten thousand flows and ninety days would make twenty million rows, and take minutes to read.
Details have a table of their own, since few rows of both together fit into a page. Days older than format 4 have no
details.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from services.core.checked_rows import DamagedDatabaseError, row_check
from services.scorer.exchanges.details import COUNTS, FlowSteps, pack, unpack

_DAY_HOURS = 24
_TYPE = np.dtype("<i4")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FORMER_KINDS = 2  # before format 3, which added those that failed on the bus

SCHEMA = f"""
CREATE TABLE hours (
    flow INTEGER, day INTEGER, counts BLOB, {row_check("flow", "day", "counts")}, PRIMARY KEY (flow, day)
) WITHOUT ROWID;
CREATE TABLE hour_details (
    flow INTEGER, day INTEGER, details BLOB, {row_check("flow", "day", "details")}, PRIMARY KEY (flow, day)
) WITHOUT ROWID;
"""

_BOTH = "SELECT day, counts, details FROM hours LEFT JOIN hour_details USING (flow, day)"

HourChanges = Mapping[tuple[int, int], NDArray[np.int64]]
"""By (flow, hour since 1970): what to add to counts and details, one after another."""


def add_hours(database: sqlite3.Connection, changes: HourChanges) -> None:
    """Add to hours, writing each day's row once."""
    days: dict[tuple[int, int], tuple[NDArray[np.int32], NDArray[np.int64]]] = {}
    for (flow, hour), more in changes.items():
        day, of_day = divmod(hour, _DAY_HOURS)
        if (flow, day) not in days:
            days[flow, day] = _read_day(database, flow, day)
        counts, details = days[flow, day]
        # Summaries within their ranges cannot overflow an hour, unless somebody sends one for every second of it.
        counts[:, of_day] = np.clip(counts[:, of_day] + more[:COUNTS], 0, np.iinfo(_TYPE).max)
        details[:, of_day] += more[COUNTS:]
    database.executemany(
        "INSERT OR REPLACE INTO hours VALUES (?, ?, ?)",
        [(*key, counts.tobytes()) for key, (counts, _) in sorted(days.items(), key=itemgetter(0))],
    )
    database.executemany(
        "INSERT OR REPLACE INTO hour_details VALUES (?, ?, ?)",
        [(*key, pack(details)) for key, (_, details) in sorted(days.items(), key=itemgetter(0))],
    )


def _read_day(database: sqlite3.Connection, flow: int, day: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    row = database.execute(f"{_BOTH} WHERE flow = ? AND day = ?", (flow, day)).fetchone()
    _, counts, details = row or (day, bytes(COUNTS * _DAY_HOURS * _TYPE.itemsize), None)
    return _unpack_counts([counts])[0].copy(), unpack(details, _DAY_HOURS)


def _unpack_counts(days: Sequence[bytes]) -> NDArray[np.int32]:
    """Return the packed counts of days, (days, COUNTS, hours), read-only. Raises DamagedDatabaseError."""
    try:
        return np.frombuffer(b"".join(days), _TYPE).reshape(len(days), COUNTS, _DAY_HOURS)
    except (ValueError, TypeError) as error:
        raise DamagedDatabaseError("its hours") from error


def read_hours(database: sqlite3.Connection, flows: Sequence[int], span: range) -> NDArray[np.int32]:
    """Return counts of f flows in h hours since 1970: exchanges, those ok, those that failed on the bus (3, f, h)."""
    first, end = _days(span)
    by_day = np.zeros((COUNTS, len(flows), end - first, _DAY_HOURS), _TYPE)
    for position, flow in enumerate(flows):
        rows = database.execute(
            "SELECT day, counts FROM hours WHERE flow = ? AND day >= ? AND day < ?", (flow, first, end)
        ).fetchall()
        if rows:
            days = np.array([day for day, _ in rows]) - first
            by_day[:, position, days] = _unpack_counts([packed for _, packed in rows]).transpose(1, 0, 2)
    within = slice(span.start - first * _DAY_HOURS, span.stop - first * _DAY_HOURS)
    return by_day.reshape(COUNTS, len(flows), (end - first) * _DAY_HOURS)[:, :, within]


def read_hourly_steps(database: sqlite3.Connection, flows: Sequence[int], span: range) -> FlowSteps:
    """Return what f flows exchanged in h hours since 1970."""
    steps = FlowSteps.empty(len(flows), len(span))
    for position, flow in enumerate(flows):
        for day, counts, details in database.execute(
            f"{_BOTH} WHERE flow = ? AND day >= ? AND day < ?", (flow, *_days(span))
        ):
            start = day * _DAY_HOURS
            first, end = max(span.start, start), min(span.stop, start + _DAY_HOURS)
            of_day = slice(first - start, end - start)
            steps.add(
                position,
                slice(first - span.start, end - span.start),
                _unpack_counts([counts])[0][:, of_day],
                unpack(details, _DAY_HOURS)[:, of_day],
            )
    return steps


def _days(hours: range) -> tuple[int, int]:
    """Return the first day that the hours lie in, and the first day after them."""
    return hours.start // _DAY_HOURS, -(-hours.stop // _DAY_HOURS)


def widen_hours(database: sqlite3.Connection) -> None:
    """Add to hours of version 0.2.0 how many exchanges failed on the bus.

    The failures of an hour are divided between bus and provider as those of that day. Raises DamagedDatabaseError.
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
    for table in ("hours", "hour_details"):
        database.execute(f"DELETE FROM {table} WHERE day < ?", (oldest_hour // _DAY_HOURS,))  # noqa: S608  # names of ours
