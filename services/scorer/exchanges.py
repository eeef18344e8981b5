"""What the data buses carried, per pair of agencies and day, and per carrier and hour (EXCHANGE.md, What is derived).

Everything is in one SQLite file and changes with the position in EXCHANGES in one transaction, so no summary is ever
counted twice or lost, whatever crashes.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.core.codec import ExchangeVolume
from services.core.errors import StateError
from services.core.evidence import ExchangeSummary
from services.core.reconciliation import Carrier
from services.indicator.calendar import Calendar
from services.scorer import hours
from services.scorer.gap import Position
from services.scorer.hours import HOUR_SECONDS

__all__ = ["KEPT_DAYS", "Exchanges", "Reading"]

KEPT_DAYS = 14
"""How long a summary can be replaced: the stream and security servers keep 7 days, so no later revision exists."""

DAY_SECONDS = 86_400

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS position (stream TEXT PRIMARY KEY, created TEXT, sequence INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS summary (
    bus TEXT, client TEXT, service TEXT, slot_start INTEGER, revision INTEGER,
    consumer TEXT, provider TEXT, meta INTEGER, day INTEGER,
    count INTEGER, ok INTEGER, bus_failures INTEGER, provider_failures INTEGER, carrier INTEGER,
    PRIMARY KEY (bus, client, service, slot_start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS carrier (
    id INTEGER PRIMARY KEY, bus TEXT, consumer TEXT, provider TEXT, client TEXT, service TEXT,
    link TEXT, shared INTEGER, meta INTEGER,
    UNIQUE (bus, consumer, provider, client, service, link, shared, meta)
);
{hours.SCHEMA}
CREATE INDEX IF NOT EXISTS summary_day ON summary (day);
CREATE TABLE IF NOT EXISTS volume (
    consumer TEXT, provider TEXT, meta INTEGER, day INTEGER,
    count INTEGER, ok INTEGER, bus_failures INTEGER, provider_failures INTEGER, last_slot INTEGER,
    PRIMARY KEY (consumer, provider, meta, day)
) WITHOUT ROWID;
"""

_FIND = """
SELECT revision, carrier, consumer, provider, meta, day, slot_start, count, ok, bus_failures, provider_failures
FROM summary WHERE bus = ? AND client = ? AND service = ? AND slot_start = ?
"""

_REPLACE = "INSERT OR REPLACE INTO summary VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_ADD = """
INSERT INTO volume (consumer, provider, meta, day, last_slot, count, ok, bus_failures, provider_failures)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    count = count + excluded.count, ok = ok + excluded.ok, bus_failures = bus_failures + excluded.bus_failures,
    provider_failures = provider_failures + excluded.provider_failures,
    last_slot = MAX(last_slot, excluded.last_slot)
"""

# Where a day's last slot lost its exchanges, the one before is looked up by carrier, as summaries have no index by pair; a
# day, of at most 25 hours, lies within it. The day itself must not be looked up: it would be found by scanning all of it.
_LOWER = """
UPDATE volume SET last_slot = coalesce((
    SELECT MAX(slot_start) FROM carrier CROSS JOIN summary USING (bus, client, service)
    WHERE carrier.consumer = ?1 AND carrier.provider = ?2 AND carrier.meta = ?3
        AND summary.consumer = ?1 AND summary.provider = ?2 AND summary.meta = ?3 AND +summary.day = ?4
        AND summary.count > 0 AND slot_start BETWEEN ?5 - 90000 AND ?5
), 0) WHERE consumer = ?1 AND provider = ?2 AND meta = ?3 AND day = ?4 AND last_slot = ?5
"""

_CARRIER = """
INSERT INTO carrier (bus, consumer, provider, client, service, link, shared, meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET bus = excluded.bus RETURNING id
"""

# A carrier named by a summary that may still be replaced stays.
_TRIM_CARRIERS = """
DELETE FROM carrier WHERE id NOT IN (SELECT carrier FROM hours)
    AND id NOT IN (SELECT carrier FROM summary WHERE carrier IS NOT NULL)
"""

_VOLUMES = """
SELECT consumer, provider, meta, SUM(count), SUM(ok), SUM(bus_failures), SUM(provider_failures), MAX(last_slot)
FROM volume WHERE day >= ? AND count > 0 GROUP BY consumer, provider, meta ORDER BY consumer, provider, meta
"""


_Changes = defaultdict[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was taken in by one moment, whatever comes meanwhile."""

    carriers: tuple[Carrier, ...]
    ids: tuple[int, ...]
    database: sqlite3.Connection

    def hours(self, carriers: Sequence[int], span: range) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return exchanges, and how many were ok, of c carriers by position, in h hours since 1970: (c, h) each."""
        return hours.read(self.database, [self.ids[at] for at in carriers], span)


class Exchanges:
    """Volumes per pair of agencies, meta services apart."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        with self._translated():
            self._database = sqlite3.connect(path)
            # In WAL mode a power cut may cost the latest transactions, never part of one: they are read again.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            hours.take_over(self._database)
            if "carrier" not in (row[1] for row in self._database.execute("PRAGMA table_info(summary)")):
                # A file of before hours were kept: what it holds counts in volumes, and in no hour.
                self._database.execute("ALTER TABLE summary ADD COLUMN carrier INTEGER")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def position(self) -> Position | None:
        """Return the last message taken in, None before the first."""
        with self._translated():
            row = self._database.execute("SELECT stream, created, sequence FROM position").fetchone()
        return None if row is None else Position(*row)

    def take(
        self,
        batches: Sequence[tuple[float, str, Sequence[ExchangeSummary]]],
        *,
        calendar: Calendar,
        position: Position | None = None,
    ) -> int:
        """Take in batches (when stored in epoch seconds, bus, summaries) up to ``position``.

        The highest revision of (bus, client, service, slot) counts, whatever the order or repetition. Returns how many
        summaries were left out: their slot lies in the future, or too far back for an earlier revision to be known.
        """
        left_out = 0
        changes: _Changes = defaultdict(lambda: (0, 0))
        emptied: set[tuple[object, ...]] = set()
        with self._translated(), self._database:
            for stored, bus, summaries in batches:
                span = range(int(stored) - KEPT_DAYS * DAY_SECONDS, int(stored) + DAY_SECONDS)
                for summary in summaries:
                    if summary.slot_start in span:
                        day = calendar.day_of(calendar.slot_of(summary.slot_start)).toordinal()
                        self._replace(bus, summary, day, changes, emptied)
                    else:
                        left_out += 1
            hours.add(self._database, changes)
            self._database.executemany(_LOWER, emptied)
            if position is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?)",
                    (position.stream, position.created, position.sequence),
                )
        return left_out

    def trim(self, today: date, window_days: int, *, calendar: Calendar) -> None:
        """Forget what can no longer be replaced, and volumes and hours older than the longest window."""
        replaceable = today.toordinal() - KEPT_DAYS - 1
        with self._translated(), self._database:
            self._database.execute("DELETE FROM summary WHERE day < ?", (replaceable,))
            self._database.execute("DELETE FROM volume WHERE day < ?", (today.toordinal() - window_days,))
            oldest = calendar.midnight(today - timedelta(days=window_days)) // HOUR_SECONDS
            hours.forget(self._database, oldest)
            self._database.execute(_TRIM_CARRIERS)

    def volumes(self, since: date, *, end_slot: int, calendar: Calendar) -> tuple[ExchangeVolume, ...]:
        """Return what each pair exchanged from a day on, ordered by consumer, provider and meta.

        It is counted up to ``end_slot`` exclusive; days are all that is kept, so later slots, where any came in, count too.
        """
        first, end = calendar.midnight(since), calendar.start_of(end_slot)
        with self._translated():
            rows = self._database.execute(_VOLUMES, (since.toordinal(),)).fetchall()
        slot_seconds = calendar.slot_seconds
        return tuple(
            ExchangeVolume(of, to, bool(meta), count, ok, bus, provider, last, first, max(end, last + slot_seconds))
            for of, to, meta, count, ok, bus, provider, last in rows
        )

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Read on a connection of its own, so that another thread may while summaries are taken in. Raises StateError."""
        with self._translated(), self._reader() as database:
            names = database.execute("SELECT * FROM carrier ORDER BY id").fetchall()
            yield Reading(tuple(map(_carrier, names)), tuple(name[0] for name in names), database)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        if self._path == ":memory:":
            yield self._database
            return
        with closing(sqlite3.connect(self._path, check_same_thread=False)) as database:
            # One snapshot for all that is read.
            database.execute("BEGIN")
            yield database

    def _replace(
        self, bus: str, new: ExchangeSummary, day: int, changes: _Changes, emptied: set[tuple[object, ...]]
    ) -> None:
        key, hour = (bus, new.client, new.service, new.slot_start), new.slot_start // HOUR_SECONDS
        pair = [new.consumer, new.provider, int(new.meta), day]
        found = self._database.execute(_FIND, key).fetchone()
        if found is not None:
            revision, carrier, *before, slot, count, ok, bus_failures, provider_failures = found
            if revision >= new.revision:
                return
            self._database.execute(_ADD, (*before, 0, -count, -ok, -bus_failures, -provider_failures))
            if count > 0 and (new.count == 0 or before != pair):
                emptied.add((*before, slot))
            if carrier is not None:
                _change(changes, carrier, hour, -count, -ok)
        sums = (new.count, new.ok, new.bus_failures, new.provider_failures)
        carrier = self._carrier(bus, new)
        self._database.execute(_REPLACE, (*key, new.revision, *pair, *sums, carrier))
        self._database.execute(_ADD, (*pair, new.slot_start if new.count > 0 else 0, *sums))
        _change(changes, carrier, hour, new.count, new.ok)

    def _carrier(self, bus: str, new: ExchangeSummary) -> int:
        named = (bus, new.consumer, new.provider, new.client, new.service, new.link, int(new.shared), int(new.meta))
        (carrier,) = self._database.execute(_CARRIER, named).fetchone()
        return int(carrier)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(
                f"the exchange volumes in {self._path} cannot be used: {error}; make room, or move the file away"
            ) from error


def _change(changes: _Changes, carrier: int, hour: int, count: int, ok: int) -> None:
    before = changes[carrier, hour]
    changes[carrier, hour] = before[0] + count, before[1] + ok


def _carrier(row: tuple[int, str, str, str, str, str, str, int, int]) -> Carrier:
    _, bus, consumer, provider, client, service, link, shared, meta = row
    return Carrier(bus, consumer, provider, client, service, link, bool(shared), bool(meta))
