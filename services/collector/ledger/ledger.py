"""Keeps the collector's state: each record counts once, in any order, repeated or after a crash (docs/exchange.md §3).

The sides read are the source of truth. Those that are stored already are left out (counting.py). The exchanges of a
request id are a function of the set of its sides (pairing.py), and a summary is the sum over exchanges. A batch changes
sides, summaries and the position of its source in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path

import numpy as np

from services.collector.ledger import summary_rows as rows
from services.collector.ledger.access import reading, transaction
from services.collector.ledger.batch_result import BatchResult, rejects
from services.collector.ledger.counting import BatchCounter
from services.collector.ledger.gradual_check import GradualCheck
from services.collector.ledger.parties import PartyPairs
from services.collector.ledger.requests import SLICES
from services.collector.ledger.schema import open_state
from services.collector.ledger.summary import PendingSummary, SummaryCounts, to_summary
from services.collector.ledger.summary_rows import LedgerTotals, SummaryRow
from services.collector.records import START, RecordBatch, ReplayTimeline, Side, SourcePosition
from services.core.errors import StateError
from services.core.model import ExchangeSummary

PAIRING_SPAN_MS = 10 * 86_400_000
"""Security servers keep records for 7 days, so a side may come that late. Three more allow for an outage of ours."""

_TOTALS = (SummaryCounts.FIELDS.index("count"), SummaryCounts.FIELDS.index("orphans"))
_HOUR_MS = 3_600_000
_FORGET_EVERY_MS = 300_000
_DAY_MS = 86_400_000
_MOST_READ = 2_000_000  # requests read at once to find old ones; five minutes of a country take 700,000


class ClockBehindError(Exception):
    """Records of a log are more than a day ahead of the clock, up to its end: one of the two clocks is wrong."""


class Ledger(AbstractContextManager["Ledger"]):
    """The state, in a SQLite file and a folder beside it (None: temporary ones). For one thread, and one process.

    ``span_ms`` is the pairing span. Sides pair within it, and are forgotten when they are older, counted from the
    median time of a batch, or from now if that is earlier. If the span has changed, everything that is not yet
    forgotten is paired again. With ``forget`` False nothing is forgotten. Raises StateError.
    """

    def __init__(
        self, path: Path | None, slot_seconds: int, *, now_ms: int, span_ms: int = PAIRING_SPAN_MS, forget: bool = True
    ) -> None:
        self._name = str(path or "")
        self._database, self._requests = open_state(
            self._name, created_ms=now_ms, slot_seconds=slot_seconds, span_ms=span_ms
        )
        self._span_ms, self._forget = span_ms, forget
        try:
            self._load()
            self.check_slots(slot_seconds)
            self._pair_again(now_ms)
            self._check = GradualCheck(self._database)
        except BaseException:
            self.close()
            raise

    def check_rows(self) -> bool:
        """Check some of the summaries that were there at the start; return whether any are left.

        A damaged state is set aside, and raises StateError.
        """
        with reading(self._name):
            return self._check.step()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._database.close()
        self._requests.close()

    def _load(self) -> None:
        with reading(self._name):
            self._facts: dict[str, int] = dict(self._database.execute("SELECT name, value FROM fact"))
            self._pairs = PartyPairs(self._database)

    def _transaction(self) -> AbstractContextManager[None]:
        return transaction(self._database, self._requests, self._name, self._load)

    def _set(self, name: str, value: int) -> None:
        self._facts[name] = value
        self._database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def _add_to_totals(self, exchanges: int, orphans: int) -> None:
        """Update the sums over all summaries, which are too many to be added up for each reading of the metrics."""
        self._set("exchanges", self._facts["exchanges"] + exchanges)
        self._set("orphans", self._facts["orphans"] + orphans)

    def _next_revision(self, now_ms: int) -> int:
        """Return the revision of this transaction: higher than the last one, and not below the clock.

        So a restored copy of the state outranks what was published since the copy was made.
        """
        self._set("revision", max(self._facts["revision"] + 1, now_ms))
        return self._facts["revision"]

    def check_slots(self, slot_seconds: int) -> None:
        """Raise StateError when the register in force has slots of another length than this state."""
        kept = self._facts["slot_seconds"]
        if slot_seconds != kept:
            raise StateError(
                f"the collector's state {self._name} counts in slots of {kept} s and the register now says "
                f"{slot_seconds} s: give the collector a new data directory"
            )

    @property
    def timeline(self) -> ReplayTimeline | None:
        """The timeline of the log that is replayed; None until ``replay`` was called."""
        if "replay_first" not in self._facts:
            return None
        return ReplayTimeline(*(self._facts[f"replay_{name}"] for name in ReplayTimeline.__slots__))

    def replay(self, source: str, timeline: ReplayTimeline) -> None:
        """Place every exchange on this timeline from now on, and begin to read ``source``."""
        with self._transaction():
            for name in ReplayTimeline.__slots__:
                self._set(f"replay_{name}", getattr(timeline, name))
            self._set_position(source, START, None)

    def position(self, source: str) -> SourcePosition | None:
        """Return where to continue reading a source; None if nothing of it was read."""
        row = self._source(source)
        return SourcePosition(*row[:2]) if row else None

    def _source(self, name: str) -> tuple[int, int, int | None] | None:
        """Return offset, line and ``asked_from_ms`` of a source; None if nothing of it was read."""
        query = "SELECT offset, line, asked_from_ms FROM source WHERE name = ?"
        with reading(self._name):
            row: tuple[int, int, int | None] | None = self._database.execute(query, (name,)).fetchone()
        return row

    def _set_position(self, source: str, position: SourcePosition, asked_from_ms: int | None) -> None:
        row = (source, position.offset, position.line, asked_from_ms)
        self._database.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?)", row)

    def take(self, source: str, batch: RecordBatch, *, now_ms: int, asked_from_ms: int | None = None) -> BatchResult:
        """Count a batch and advance its source, in one transaction.

        ``asked_from_ms`` is the moment from which on records were requested from a server. That of its first batch is
        kept, and records of slots that begin before it expire. Of these slots only records that were logged late would
        come, and their summary would replace a fuller one, published by a state that was lost.

        Raises ClockBehindError, and changes nothing, if the batch is of a log, and its last record and most others are
        more than a day ahead of ``now_ms``. They would expire, and would not be read again once the clock is right. A
        last record that is not ahead shows that the log's own clock was wrong before.
        """
        horizon, by_request, expired = self._facts["horizon"], dict[bytes, list[Side]](), 0
        known = self._source(source)
        begun = known[2] if known else asked_from_ms
        oldest = max(horizon, self._first_slot_ms(begun))
        # A record of the future would never be forgotten. A log that is replayed or read offline may be of any time.
        newest = now_ms + _DAY_MS if self._forget and self.timeline is None else inf
        for side in batch.sides:
            if oldest <= side.request_in <= newest:
                by_request.setdefault(side.request, []).append(side)
            else:
                expired += 1
        ahead = [side.request_in > newest for side in batch.sides] if expired and asked_from_ms is None else [False]
        if 2 * sum(ahead) > len(ahead) and ahead[-1]:
            raise ClockBehindError(
                "most records are more than a day ahead of the clock of this host: set the clock that is wrong"
            )
        with self._transaction():
            counter = self._counter()
            fresh = counter.take(by_request, self._span_ms, horizon - _HOUR_MS)
            self._add_counts(counter, now_ms)
            self._set_position(source, batch.position, begun)
            if self._forget and fresh:
                # The median, so that one wrong clock does not make the records of all others look old.
                middle = len(fresh) // 2
                self._forget_before(min(now_ms, int(np.partition(fresh, middle)[middle])) - self._span_ms)
        refused = rejects(batch, counter.refused)
        return BatchResult(
            read=len(batch.sides),
            duplicates=len(batch.sides) - expired - len(fresh) - len(refused),
            expired=expired,
            rejected=len({reject.number for reject in batch.rejects}) + len(refused),
            paired=sum(counts.paired for counts in counter.changes.values()),
            refused=refused,
        )

    def _first_slot_ms(self, moment_ms: int | None) -> int:
        """Return the start of the first slot that begins at a moment or later, in ms; 0 without a moment."""
        slot_ms = self._facts["slot_seconds"] * 1000
        return 0 if moment_ms is None else -(-moment_ms // slot_ms) * slot_ms

    def _counter(self) -> BatchCounter:
        return BatchCounter(self._requests, self._pairs, self._facts["slot_seconds"], self.timeline)

    def _add_counts(self, counter: BatchCounter, now_ms: int) -> None:
        """Add a transaction's counts to summaries and totals.

        A request id that is used again and again keeps exchanges longer than summaries. Their changes are left out.
        """
        if changes := rows.without_dropped(self._database, counter.changes, self._facts["dropped_before"]):
            rows.add_counts(self._database, changes, self._next_revision(now_ms))
            self._add_to_totals(*(sum(counts.numbers[field] for counts in changes.values()) for field in _TOTALS))

    def _first_kept_slot(self, horizon: int, span_ms: int) -> int:
        """Return the first slot whose summary a record at the horizon may still change, in epoch seconds."""
        # A side may be up to a span away from the one that decided the slot.
        oldest = (self.timeline or ReplayTimeline()).place(horizon - _HOUR_MS - span_ms) // 1000
        return oldest - self._facts["slot_seconds"]

    def _pair_again(self, now_ms: int) -> None:
        """Count by the present span what was counted by the previous one."""
        if self._facts["span_ms"] != self._span_ms:
            with self._transaction():
                counter = self._counter()
                counter.pair_again(self._facts["span_ms"], self._span_ms, self._facts["horizon"] - _HOUR_MS)
                self._add_counts(counter, now_ms)
                self._set("span_ms", self._span_ms)

    def _forget_before(self, horizon: int) -> None:
        """Drop what no record can change any more.

        Records before ``horizon`` are refused. Sides are kept an hour longer, because the clocks of the two sides
        differ. While the horizon moves by a day the whole table of requests is cleared, some slices every five minutes,
        so that no batch waits for long. Pairs that nothing refers to are dropped with it.
        """
        before = self._facts["horizon"]
        if horizon < before + min(_FORGET_EVERY_MS, self._span_ms // 10):
            return
        self._set("horizon", horizon)
        self._clear(max(1, min(SLICES, (horizon - before) * SLICES // _DAY_MS)), horizon - _HOUR_MS)
        self._set("dropped_before", max(self._facts["dropped_before"], self._first_kept_slot(horizon, self._span_ms)))
        exchanges, orphans = rows.drop_published(self._database, self._facts["dropped_before"])
        self._add_to_totals(-exchanges, -orphans)

    def _clear(self, due: int, oldest_ms: int) -> None:
        """Clear the next slices of the requests. If they have too many requests, some slices wait for the next round."""
        number, read = self._facts["cleared"], 0
        while due and read < _MOST_READ:
            requests, pairs = self._requests.drop_old(number, oldest_ms)
            self._pairs.keep(pairs)
            number, read, due = (number + 1) % SLICES, read + requests, due - 1
            if number == 0:
                self._pairs.end_round()
        self._set("cleared", number)

    def summaries(self) -> Iterator[ExchangeSummary]:
        """Yield every summary that counts at least one exchange, by pair and slot."""
        with reading(self._name):
            yield from map(self._summary, rows.read_nonempty(self._database))

    def unpublished(self, limit: int) -> list[PendingSummary]:
        """Return summaries that the bus has not acknowledged at their present revision, the longest waiting first."""
        with reading(self._name):
            waiting = rows.read_unpublished(self._database, limit)
        return [PendingSummary(row.pair, self._summary(row)) for row in waiting]

    @property
    def acknowledged(self) -> int:
        """The highest sequence with which the bus has acknowledged summaries; 0 before the first."""
        return self._facts.get("acknowledged", 0)

    @property
    def revision(self) -> int:
        """The highest revision of all summaries."""
        return self._facts["revision"]

    def acknowledge(self, sent: Sequence[PendingSummary], sequence: int = 0) -> None:
        """Mark summaries that the bus has acknowledged with ``sequence``. Those that changed since stay unpublished."""
        with self._transaction():
            if sequence > self.acknowledged:
                self._set("acknowledged", sequence)
            marks = [(pending.pair, pending.summary.slot_start, pending.summary.revision) for pending in sent]
            rows.acknowledge(self._database, marks)

    def publish_again(self, sequence: int) -> None:
        """Mark all summaries as unpublished. ``sequence`` is the last one that the bus is known to have given out."""
        with self._transaction():
            self._set("acknowledged", sequence)
            rows.unpublish(self._database)

    def totals(self) -> LedgerTotals:
        """Return the sums over all summaries."""
        with reading(self._name):
            unpublished, lowest = rows.count_unpublished(self._database)
        return LedgerTotals(self._facts["exchanges"], self._facts["orphans"], unpublished, lowest)

    def _summary(self, row: SummaryRow) -> ExchangeSummary:
        parties = self._pairs.parties(row.pair)
        return to_summary(parties, row.slot, row.revision, row.counts)
