"""What the data buses carried, per carrier by the day and by the hour, and so per pair of agencies (docs/exchange.md).

Everything is in one SQLite file and changes with the position in EXCHANGES in one transaction, so no summary is ever
counted twice or lost, whatever crashes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.codec import ExchangeVolume
from services.core.errors import StateError
from services.core.model import ExchangeSummary, Flow, Register
from services.indicator.calendar import Calendar
from services.register.attribution import Attributor
from services.scorer.exchanges import carriers, summaries
from services.scorer.exchanges import hourly as hours
from services.scorer.exchanges.hourly import HOUR_SECONDS
from services.scorer.exchanges.summaries import SummaryWriter
from services.scorer.state import StreamPosition

__all__ = ["KEPT_DAYS", "ExchangeDatabase", "ExchangeSnapshot"]

KEPT_DAYS = 14
"""How long a summary can be replaced: the stream and security servers keep 7 days, so no later revision exists."""

DAY_SECONDS = 86_400
_FORMAT = 1

_SCHEMA = f"""
CREATE TABLE position (stream TEXT PRIMARY KEY, created TEXT, sequence INTEGER) WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
{carriers.SCHEMA}
{hours.SCHEMA}
{summaries.SCHEMA}
"""

_REGISTER = "SELECT value FROM fact WHERE name = 'register'"
_ATTRIBUTED = "INSERT OR REPLACE INTO fact VALUES ('register', ?)"

# Summed by carrier first, as the table is ordered: sorting days by names takes five times as long.
_VOLUMES = """
SELECT consumer, provider, meta, SUM(count), SUM(ok), SUM(bus_failures), SUM(provider_failures), MAX(last_slot)
FROM (
    SELECT carrier, SUM(count) AS count, SUM(ok) AS ok, SUM(bus_failures) AS bus_failures,
        SUM(provider_failures) AS provider_failures, MAX(last_slot) AS last_slot
    FROM volume WHERE day >= ? AND count > 0 GROUP BY carrier
) JOIN carrier ON id = carrier GROUP BY consumer, provider, meta ORDER BY consumer, provider, meta
"""


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeSnapshot:
    """What was taken in by one moment, whatever comes meanwhile."""

    carriers: tuple[Flow, ...]
    ids: tuple[int, ...]
    database: sqlite3.Connection

    def hours(self, carriers: Sequence[int], span: range) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return exchanges, and how many were ok, of c carriers by position, in h hours since 1970: (c, h) each."""
        return hours.read(self.database, [self.ids[at] for at in carriers], span)


class ExchangeDatabase:
    """Volumes per pair of agencies, meta services apart."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._changes = 0  # counted after each, so that what is summed meanwhile is summed again
        self._summed: tuple[tuple[int, date], list[tuple[Any, ...]]] | None = None
        with self._translated():
            self._database = sqlite3.connect(path)
            # In WAL mode a power cut may cost the latest transactions, never part of one: they are read again.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._create()

    def _create(self) -> None:
        """Make the tables of a new file. Raises StateError for one of another format."""
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            self._database.executescript(f"{_SCHEMA} PRAGMA user_version = {_FORMAT};")
        elif version != _FORMAT:
            raise StateError(
                f"the exchange volumes in {self._path} have format {version}, and this version writes {_FORMAT}: move the "
                "file away to start anew from what EXCHANGES still holds"
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def position(self) -> StreamPosition | None:
        """Return the last message taken in, None before the first."""
        with self._translated():
            row = self._database.execute("SELECT stream, created, sequence FROM position").fetchone()
        return None if row is None else StreamPosition(*row)

    def take(
        self,
        batches: Sequence[tuple[float, str, Sequence[ExchangeSummary]]],
        *,
        calendar: Calendar,
        position: StreamPosition | None = None,
    ) -> int:
        """Take in batches (when stored in epoch seconds, bus, summaries) up to ``position``.

        The highest revision of (bus, client, service, slot) counts, whatever the order or repetition. When the policy's
        slots have become longer or shorter, the same exchanges come again in the new ones: these take the place of all
        that they overlap, and what does not come again stays. Returns how many summaries were left out: their slot lies
        in the future, or too far back for an earlier revision to be known.
        """
        left_out = 0
        with self._translated(), self._database:
            replacing = SummaryWriter(self._database, calendar.slot_seconds)
            for stored, bus, rows in batches:
                span = range(int(stored) - KEPT_DAYS * DAY_SECONDS, int(stored) + DAY_SECONDS)
                for summary in rows:
                    if summary.slot_start in span:
                        day = calendar.day_of(calendar.slot_of(summary.slot_start)).toordinal()
                        replacing.take(carriers.number(self._database, bus, summary), summary, day)
                    else:
                        left_out += 1
            replacing.finish()
            if position is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?)",
                    (position.stream, position.created, position.sequence),
                )
        self._changes += 1
        return left_out

    def trim(self, today: date, window_days: int, *, calendar: Calendar) -> None:
        """Forget what can no longer be replaced, and volumes and hours older than the longest window."""
        replaceable = today.toordinal() - KEPT_DAYS - 1
        with self._translated(), self._database:
            summaries.trim(self._database, replaceable)
            self._database.execute("DELETE FROM volume WHERE day < ?", (today.toordinal() - window_days,))
            oldest = calendar.midnight(today - timedelta(days=window_days)) // HOUR_SECONDS
            hours.forget(self._database, oldest)
            carriers.trim(self._database)
        self._changes += 1

    def attributed_by(self, register: Register) -> bool:
        """Tell whether what is kept is attributed by a register, or by its collector."""
        with self._translated():
            found = self._database.execute(_REGISTER).fetchone()
        return found is not None and found[0] == _version(register)

    def clients(self) -> frozenset[str]:
        """Return all that called anything."""
        with self._translated():
            return carriers.clients(self._database)

    def attribute(self, register: Register, mapping: Attributor, clients: Collection[str]) -> None:
        """Attribute all that is kept of some clients by the ``mapping`` of a register, however old it is.

        Summaries that a collector publishes later are attributed by it.
        """
        with self._translated(), self._database:
            carriers.attribute(self._database, mapping, clients)
            self._database.execute(_ATTRIBUTED, (_version(register),))
        self._changes += 1

    def volumes(self, since: date, *, end_slot: int, calendar: Calendar) -> tuple[ExchangeVolume, ...]:
        """Return what each pair exchanged from a day on, ordered by consumer, provider and meta.

        It is counted up to ``end_slot`` exclusive; days are all that is kept, so later slots, where any came in, count too.
        For any thread, as reading is.
        """
        first, end = calendar.midnight(since), calendar.start_of(end_slot)
        # Summing a quarter of many carriers takes a while, and of what comes late indexes follow each other.
        asked = self._changes, since
        if self._summed is None or self._summed[0] != asked:
            with self._translated(), self._reader() as database:
                self._summed = asked, database.execute(_VOLUMES, (since.toordinal(),)).fetchall()
        slot_seconds = calendar.slot_seconds
        return tuple(
            ExchangeVolume(of, to, bool(meta), count, ok, bus, provider, last, first, max(end, last + slot_seconds))
            for of, to, meta, count, ok, bus, provider, last in self._summed[1]
        )

    @contextmanager
    def reading(self) -> Iterator[ExchangeSnapshot]:
        """Read on a connection of its own, so that another thread may while summaries are taken in. Raises StateError."""
        with self._translated(), self._reader() as database:
            kept = carriers.kept(database)
            yield ExchangeSnapshot(tuple(one for _, one in kept), tuple(number for number, _ in kept), database)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        if self._path == ":memory:":
            yield self._database
            return
        with closing(sqlite3.connect(self._path, check_same_thread=False)) as database:
            # One snapshot for all that is read.
            database.execute("BEGIN")
            yield database

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(
                f"the exchange volumes in {self._path} cannot be used: {error}; make room, or move the file away"
            ) from error


def _version(register: Register) -> str:
    return f"{register.register_version} {register.probe_version}"
