"""Stores summaries that replace one another, and the volumes and hours that they add up to (docs/exchange.md §3)."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.checked_rows import row_check
from services.core.model import ExchangeSummary
from services.indicator.calendar import HOUR_SECONDS
from services.scorer.exchanges.details import COUNTS, DETAILS, FlowSteps, details_of, pack, unpack
from services.scorer.exchanges.hourly import add_hours

_SUMS = ("count", "ok", "bus_failures", "provider_failures")

SCHEMA = f"""
CREATE TABLE summary (
    flow INTEGER, slot_start INTEGER, seconds INTEGER, revision INTEGER, day INTEGER,
    count INTEGER, ok INTEGER, bus_failures INTEGER, provider_failures INTEGER, details BLOB,
    {row_check("flow", "slot_start", "seconds", "revision", "day", *_SUMS, "details")}, PRIMARY KEY (flow, slot_start)
) WITHOUT ROWID;
CREATE INDEX summary_day ON summary (day);
CREATE TABLE length (seconds INTEGER PRIMARY KEY, {row_check("seconds")});
CREATE TABLE volume (
    flow INTEGER, day INTEGER,
    count INTEGER, ok INTEGER, bus_failures INTEGER, provider_failures INTEGER, last_slot INTEGER,
    {row_check("flow", "day", *_SUMS, "last_slot")}, PRIMARY KEY (flow, day)
) WITHOUT ROWID;
"""

_COLUMNS = "revision, seconds, day, slot_start, count, ok, bus_failures, provider_failures, details"

_FIND = f"SELECT {_COLUMNS} FROM summary WHERE flow = ? AND slot_start = ?"  # noqa: S608

# Slots of another length that overlap with a slot, except the one with the same start.
_OVERLAPPING = f"""
SELECT {_COLUMNS}
FROM summary WHERE flow = :flow AND slot_start > :slot - (SELECT MAX(seconds) FROM length) AND slot_start < :slot + :seconds
    AND slot_start != :slot AND slot_start + seconds > :slot AND seconds != :seconds
"""  # noqa: S608

_STEPS = """
SELECT flow, slot_start / ?, count, ok, bus_failures, details FROM summary WHERE slot_start >= ? AND slot_start < ?
"""

_DELETE = "DELETE FROM summary WHERE flow = ? AND slot_start = ?"

_INSERT = "INSERT INTO summary VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_ADD = """
INSERT INTO volume (flow, day, last_slot, count, ok, bus_failures, provider_failures) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    count = count + excluded.count, ok = ok + excluded.ok, bus_failures = bus_failures + excluded.bus_failures,
    provider_failures = provider_failures + excluded.provider_failures,
    last_slot = MAX(last_slot, excluded.last_slot)
"""

# When a day's last slot has lost its exchanges, the last slot before it is looked up within 25 hours, the longest day.
# The plus keeps SQLite from using the index on days, with which it would scan the whole day.
_LOWER = """
UPDATE volume SET last_slot = coalesce((
    SELECT MAX(slot_start) FROM summary WHERE summary.flow = :flow AND +summary.day = :day
        AND summary.count > 0 AND slot_start BETWEEN :slot - 90000 AND :slot
), 0) WHERE flow = :flow AND day = :day AND last_slot = :slot
"""

_DROP_SOME = (
    "DELETE FROM summary WHERE (flow, slot_start) IN (SELECT flow, slot_start FROM summary WHERE day < ? LIMIT ?)"
)

_DROPPED_AT_ONCE = 5000

_DROP_LENGTHS = "DELETE FROM length WHERE NOT EXISTS (SELECT 1 FROM summary WHERE summary.seconds = length.seconds)"


class SummaryWriter:
    """Writes the summaries of one transaction, under a policy whose slots last ``slot_seconds``. ``finish`` ends it."""

    def __init__(self, database: sqlite3.Connection, slot_seconds: int) -> None:
        self._database = database
        self._slot_seconds = slot_seconds
        self._lengths = _lengths(database)
        self._hours: dict[tuple[int, int], NDArray[np.int64]] = defaultdict(
            lambda: np.zeros(COUNTS + DETAILS, np.int64)
        )
        self._emptied: set[tuple[int, int, int]] = set()

    def take(self, flow: int, new: ExchangeSummary, day: int) -> None:
        """Store a summary of a flow in place of those with a lower revision, unless one of the others has precedence.

        These are the stored summaries with the same start or in an overlapping slot. One with the same start has
        precedence if its revision is equal or higher. One in an overlapping slot has precedence only if its revision is
        higher and its slot is as long as the policy's. ``day`` is the ordinal of the day that the slot lies in.
        """
        slot = new.slot_start
        seconds = self._length(slot)
        same = self._database.execute(_FIND, (flow, slot)).fetchall()
        overlapping = self._overlapping(flow, slot, seconds)
        if any(revision >= new.revision for revision, *_ in same) or any(
            revision > new.revision and length == self._slot_seconds for revision, length, *_ in overlapping
        ):
            return
        for revision, _, before, start, count, ok, bus_failures, provider_failures, packed in (*same, *overlapping):
            if revision < new.revision:
                former = -count, -ok, -bus_failures, -provider_failures
                self._add(flow, before, start, former, -unpack(packed, 1)[:, 0])
                self._database.execute(_DELETE, (flow, start))
                if count > 0 and (start != slot or new.count == 0 or before != day):
                    self._emptied.add((flow, before, start))
        sums = new.count, new.ok, new.bus_failures, new.provider_failures
        details = details_of(new)
        self._database.execute(_INSERT, (flow, slot, seconds, new.revision, day, *sums, pack(details)))
        self._add(flow, day, slot, sums, details)

    def finish(self) -> None:
        """Write the changes of hours, each row once, and correct the last slot of days in which it is now empty."""
        add_hours(self._database, self._hours)
        emptied = ({"flow": flow, "day": day, "slot": slot} for flow, day, slot in self._emptied)
        self._database.executemany(_LOWER, emptied)

    def _length(self, slot: int) -> int:
        """Return the length of a slot.

        A slot that does not begin where the policy's slots do has an earlier length, or a divisor of the policy's.
        """
        if slot % self._slot_seconds == 0:
            return self._slot_seconds
        return max(gcd(slot, self._slot_seconds), *(seconds for seconds in self._lengths if slot % seconds == 0), 1)

    def _overlapping(self, flow: int, slot: int, seconds: int) -> list[tuple[Any, ...]]:
        if seconds not in self._lengths:
            self._database.execute("INSERT INTO length VALUES (?)", (seconds,))
            self._lengths.add(seconds)
        if len(self._lengths) == 1:
            return []
        return self._database.execute(_OVERLAPPING, {"flow": flow, "slot": slot, "seconds": seconds}).fetchall()

    def _add(self, flow: int, day: int, slot: int, sums: tuple[int, int, int, int], details: NDArray[np.int64]) -> None:
        self._database.execute(_ADD, (flow, day, slot if sums[0] > 0 else 0, *sums))
        of_hour = self._hours[flow, slot // HOUR_SECONDS]
        of_hour[:COUNTS] += sums[:COUNTS]
        of_hour[COUNTS:] += details


def read_steps(database: sqlite3.Connection, flows: Sequence[int], span: range, step_seconds: int) -> FlowSteps:
    """Return what f flows exchanged in h steps since 1970, each shorter than an hour, on days whose summaries are kept."""
    steps = FlowSteps.empty(len(flows), len(span))
    positions = {flow: position for position, flow in enumerate(flows)}
    for flow, number, count, ok, bus_failures, details in database.execute(
        _STEPS, (step_seconds, span.start * step_seconds, span.stop * step_seconds)
    ):
        if flow in positions:
            step = slice(number - span.start, number - span.start + 1)
            steps.add(positions[flow], step, np.array([[count], [ok], [bus_failures]]), unpack(details, 1))
    return steps


def _lengths(database: sqlite3.Connection) -> set[int]:
    return {seconds for (seconds,) in database.execute("SELECT seconds FROM length")}


def drop_summaries(database: sqlite3.Connection, oldest_day: int) -> bool:
    """Drop some of the summaries before a day; return whether more may be left. At last drop lengths of no slot."""
    more = database.execute(_DROP_SOME, (oldest_day, _DROPPED_AT_ONCE)).rowcount == _DROPPED_AT_ONCE
    if not more and len(_lengths(database)) > 1:
        database.execute(_DROP_LENGTHS)
    return more
