"""Stores what data buses carried, per flow by day and by hour, and so per pair of agencies (docs/exchange.md §3).

Everything is in one SQLite file, and changes together with the position in EXCHANGES in one transaction. So no crash
loses a summary or counts it twice. A damaged file is set aside, and a new one begins with what EXCHANGES still holds.
The index needs none of it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from math import inf
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.core import checked_rows
from services.core.codec import ExchangeVolume
from services.core.errors import StateError
from services.core.log import logger
from services.core.model import ExchangeSummary, Flow, StreamPosition
from services.indicator.calendar import HOUR_SECONDS, RECORD_DAYS, Calendar
from services.register.attribution import Attributor
from services.scorer.exchanges import flows, hourly, schema, summaries
from services.scorer.exchanges.details import FlowSteps
from services.scorer.exchanges.summaries import SummaryWriter

KEPT_DAYS = 14
"""How long a summary can be replaced. The stream and security servers keep 7 days, so no later revision exists."""

DAY_SECONDS = 86_400

_VOLUMES = """
SELECT bus, client, service, meta, alias, sums.* FROM (
    SELECT flow, SUM(count), SUM(ok), SUM(bus_failures), SUM(provider_failures), MAX(last_slot)
    FROM volume WHERE day >= ? AND count > 0 GROUP BY flow
) AS sums JOIN flow ON flow.id = sums.flow
"""


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeSnapshot:
    """Everything ingested up to one moment. What is ingested later is not in it."""

    flows: tuple[Flow, ...]
    ids: tuple[int, ...]
    database: sqlite3.Connection

    def hours(self, positions: Sequence[int], span: range) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return exchanges, and how many were ok, of f flows by position, in h hours since 1970: (f, h) each."""
        exchanges, ok, _ = hourly.read_hours(self.database, [self.ids[position] for position in positions], span)
        return exchanges, ok

    def steps(self, positions: Sequence[int], span: range, step_seconds: int) -> FlowSteps:
        """Return what flows exchanged, by position, in steps since 1970."""
        ids = [self.ids[position] for position in positions]
        if step_seconds == HOUR_SECONDS:
            return hourly.read_hourly_steps(self.database, ids, span)
        return summaries.read_steps(self.database, ids, span, step_seconds)

    def first_steps(self, step_seconds: int) -> dict[int, int]:
        """Return, by the position of a flow, the step before which ``steps`` returns nothing.

        Empty flows are left out.
        """
        if step_seconds == HOUR_SECONDS:
            rows = self.database.execute("SELECT flow, MIN(day) * 24 FROM hours GROUP BY flow")
        else:
            rows = self.database.execute("SELECT flow, MIN(slot_start) / ? FROM summary GROUP BY flow", (step_seconds,))
        first = dict(rows.fetchall())
        return {position: first[flow] for position, flow in enumerate(self.ids) if flow in first}


class ExchangeDatabase:
    """Volumes per pair of agencies, as attributed by the latest ``attribute_by``. Meta services count separately."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._attributor = Attributor(None)
        self._changes = 0  # increased by every change, so that the cached sums are computed again
        self._sums: tuple[tuple[int, date], dict[tuple[str, str, bool], list[int]]] | None = None
        self.damaged = False
        """Whether damage was noticed, so that `begin_anew` must be called."""
        self.read_up_to = 0.0
        """Everything that the bus stored before this moment (epoch seconds) was ingested."""
        try:
            self._open()
        except StateError:
            if not self.damaged:
                raise
            self.begin_anew()

    def _open(self) -> None:
        with self._translated():
            self._database = checked_rows.connect(self._path)
            try:
                # In WAL mode a power cut may lose the latest transactions, but never part of one. They are read again.
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = NORMAL")
                schema.prepare(self._database, self._path)
            except BaseException:
                self._database.close()
                raise

    def verify(self) -> None:
        """Set ``damaged`` if anything in the file is not what was written. For any thread. Raises StateError."""
        with self._translated(), self._reader() as database:
            checked_rows.verify(database, schema.TABLES)

    def begin_anew(self) -> None:
        """Set a damaged file aside and begin a new one, without a position. Raises StateError."""
        self._database.close()
        with self._translated():
            checked_rows.keep_aside(Path(self._path))
            logger().error("exchanges_damaged", file=str(self._path))
        self._open()
        self._changes += 1
        self.damaged, self.read_up_to = False, 0.0

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def attribute_by(self, attributor: Attributor) -> None:
        """Attribute everything that is kept, however old, by another register from now on."""
        self._attributor = attributor
        self._changes += 1

    def position(self) -> StreamPosition | None:
        """Return the position of the last message ingested, None before the first."""
        with self._translated():
            row = self._database.execute("SELECT stream, created, sequence FROM position").fetchone()
        return None if row is None else StreamPosition(*row)

    def stored(self) -> float:
        """Return when the last message ingested was stored (epoch seconds); inf if unknown or before the first."""
        with self._translated():
            row = self._database.execute("SELECT stored FROM position").fetchone()
        return inf if row is None or row[0] is None else row[0]

    def take(
        self,
        batches: Sequence[tuple[float, str, Sequence[ExchangeSummary]]],
        *,
        calendar: Calendar,
        position: StreamPosition | None = None,
        stored: float = inf,
    ) -> int:
        """Ingest batches (when stored in epoch seconds, bus, summaries) up to ``position``.

        The message there was stored at ``stored`` (epoch seconds; inf if unknown).
        The highest revision of (bus, client, service, slot) counts, in any order and repeated. When the policy's slots
        have become longer or shorter, the same exchanges come again in the new slots. These replace all summaries that
        they overlap, and the others stay. Returns how many summaries were left out because their slot lies in the
        future, or too far back for an earlier revision to be known.
        """
        left_out = 0
        with self._translated(), self._database:
            writer = SummaryWriter(self._database, calendar.slot_seconds)
            for moment, bus, rows in batches:
                span = range(int(moment) - KEPT_DAYS * DAY_SECONDS, int(moment) + DAY_SECONDS)
                for summary in rows:
                    if summary.slot_start in span:
                        day = calendar.day_of(calendar.slot_of(summary.slot_start)).toordinal()
                        writer.take(flows.flow_id(self._database, bus, summary), summary, day)
                    else:
                        left_out += 1
            writer.finish()
            if position is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)",
                    (position.stream, position.created, position.sequence, stored),
                )
        self._changes += 1
        return left_out

    def trim(self, today: date, window_days: int, *, calendar: Calendar) -> Iterator[None]:
        """Drop summaries, volumes and hours that are no longer needed, and yield after each part. Raises StateError.

        These are summaries that can no longer be replaced, volumes older than the longest window, and hours older than
        that and RECORD_DAYS. Without a position nothing is dropped: the same summaries may come again, and must not
        count twice. For the same reason everything stored before ``today`` must have been read.
        """
        if self.position() is None:
            return
        replaceable = today.toordinal() - KEPT_DAYS - 1
        more = True
        while more:
            with self._translated(), self._database:
                more = summaries.drop_summaries(self._database, replaceable)
            yield
        with self._translated(), self._database:
            self._database.execute("DELETE FROM volume WHERE day < ?", (today.toordinal() - window_days,))
            oldest = calendar.midnight(today - timedelta(days=max(window_days, RECORD_DAYS))) // HOUR_SECONDS
            hourly.drop_hours(self._database, oldest)
            flows.drop_unused(self._database)
        self._changes += 1

    def volumes(self, since: date, *, end_slot: int, calendar: Calendar) -> tuple[ExchangeVolume, ...]:
        """Return what each pair exchanged from a day on, ordered by consumer, provider and meta. For any thread.

        It is counted up to ``end_slot`` exclusive. Later slots count too if any came in, because sums are kept by day.
        """
        first, end = calendar.midnight(since), calendar.start_of(end_slot)
        # Summing 90 days of flows is slow, and late data triggers several refreshes in a row, so the sums are cached.
        key = self._changes, since
        if self._sums is None or self._sums[0] != key:
            self._sums = key, self._sum_pairs(since)
        slot_seconds = calendar.slot_seconds
        return tuple(
            ExchangeVolume(*pair, count, ok, bus, provider, last, first, max(end, last + slot_seconds))
            for pair, (count, ok, bus, provider, last) in sorted(self._sums[1].items())
        )

    def _sum_pairs(self, since: date) -> dict[tuple[str, str, bool], list[int]]:
        """Return count, ok, bus failures, provider failures and last slot by consumer, provider and meta."""
        pairs: dict[tuple[str, str, bool], list[int]] = defaultdict(lambda: [0] * 5)
        attributor = self._attributor
        with self._translated(), self._reader() as database:
            for bus, client, service, meta, alias, _, *counts, last_slot in database.execute(
                _VOLUMES, (since.toordinal(),)
            ):
                flow = flows.attributed(attributor, bus, client, service, meta, alias)
                sums = pairs[flow.consumer, flow.provider, flow.meta]
                sums[:] = *map(add, sums, counts), max(sums[-1], last_slot)
        return pairs

    @contextmanager
    def reading(self) -> Iterator[ExchangeSnapshot]:
        """Read through a separate connection, so that another thread may read while summaries come in.

        Raises StateError.
        """
        with self._translated(), self._reader() as database:
            by_id = flows.read_flows(database, self._attributor)
            yield ExchangeSnapshot(tuple(by_id.values()), tuple(by_id), database)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        if self._path == ":memory:":
            yield self._database
            return
        with closing(checked_rows.connect(self._path, check_same_thread=False)) as database:
            # One transaction, so that all reads see the same moment.
            database.execute("BEGIN")
            yield database

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError, OSError, checked_rows.DamagedDatabaseError) as error:
            self.damaged |= checked_rows.is_damage(error)
            raise StateError(
                f"the exchange volumes in {self._path} cannot be used: {error}; make room, or move the file away"
            ) from error
