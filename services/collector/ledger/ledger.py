"""The collector's memory: each record counted once, whatever the order, the repetition or the crash (docs/exchange.md).

The sides read are the truth; the exchanges of a request id are a function of the set of its sides (pairing.py), and a
summary is the sum over exchanges. A batch changes sides, summaries and the position in its source in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from services.collector.ledger import sides
from services.collector.ledger import summary_rows as cells
from services.collector.ledger.counting import MOST_SIDES, BatchCounter
from services.collector.ledger.parties import PartyPairs
from services.collector.ledger.schema import open_database
from services.collector.ledger.summary import SummaryCounts, summary
from services.collector.ledger.summary_rows import LedgerTotals, SummaryRow
from services.collector.records import START, RecordBatch, Reject, ReplayTimeline, Side, SourcePosition
from services.core.errors import StateError
from services.core.model import ExchangeSummary
from services.register.attribution import Attributor

__all__ = ["PAIRING_SPAN_MS", "BatchResult", "Ledger", "PendingSummary"]

PAIRING_SPAN_MS = 10 * 86_400_000
"""Security servers keep their records for 7 days, so a side may come that late; three more for an outage of ours."""

_TOTALS = (SummaryCounts.FIELDS.index("count"), SummaryCounts.FIELDS.index("orphans"))
_HOUR_MS = 3_600_000
_CLEARING_MS = 86_400_000
_BEGUN = "begun "  # and the name of a source: from when on it was asked for its first batch, in ms
_TOO_MANY = f"{MOST_SIDES} other records have its xRequestId"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of batches: records read, of these seen before, or older than the pairing span or than all that was asked
    for; lines rejected; and how many more exchanges have both sides.

    ``refused`` are those rejected here, as their request id has too many sides; of several batches together they are not kept.
    """

    read: int = 0
    duplicates: int = 0
    expired: int = 0
    rejected: int = 0
    paired: int = 0
    refused: tuple[Reject, ...] = ()

    def __add__(self, other: BatchResult) -> BatchResult:
        return BatchResult(
            self.read + other.read,
            self.duplicates + other.duplicates,
            self.expired + other.expired,
            self.rejected + other.rejected,
            self.paired + other.paired,
        )


@dataclass(frozen=True, slots=True)
class PendingSummary:
    """A summary with the pair it belongs to, so that it can be marked as published."""

    pair: int
    summary: ExchangeSummary


class Ledger:
    """The state, in one SQLite file (None: a temporary one). For one thread, and one process. Raises StateError.

    ``span_ms`` is the pairing span: sides pair within it, and are forgotten when they are older than that, counted from
    the newest records (or from now, should those be later than now). With another span than before, all that is not yet
    forgotten pairs anew. With ``forget`` False nothing is forgotten.
    """

    def __init__(
        self,
        path: Path | None,
        mapping: Attributor,
        *,
        now_ms: int,
        span_ms: int = PAIRING_SPAN_MS,
        forget: bool = True,
    ) -> None:
        self._name = str(path or "")
        self._database = open_database(self._name, created_ms=now_ms)
        self._span_ms, self._forget = span_ms, forget
        self._mapping = mapping
        try:
            self._load()
            if "slot_seconds" not in self._facts:
                with self._transaction():
                    self._keep("slot_seconds", mapping.slot_seconds)
            if "exchanges" not in self._facts:
                with self._transaction():
                    self._add_to_totals(*cells.sums(self._database))
            self.remap(mapping, now_ms=now_ms)
            self._pair_anew(self._facts.get("span_ms", PAIRING_SPAN_MS), now_ms)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _load(self) -> None:
        self._facts: dict[str, int] = dict(self._database.execute("SELECT name, value FROM fact"))
        self._pairs = PartyPairs(self._database)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._load()
            if isinstance(error, sqlite3.Error):
                raise StateError(f"the collector's state {self._name} cannot be written: {error}") from error
            raise

    def _keep(self, name: str, value: int) -> None:
        self._facts[name] = value
        self._database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def _add_to_totals(self, exchanges: int, orphans: int) -> None:
        """Keep the sums over all summaries, which are too many to be added up whenever somebody looks."""
        for name, number in (("exchanges", exchanges), ("orphans", orphans)):
            self._keep(name, self._facts.get(name, 0) + number)

    def _revise(self, now_ms: int) -> int:
        """Revision of this transaction; each has a higher one, which is not below the clock: a copy of the state that was
        put back outranks what was published since it was made.
        """
        self._keep("revision", max(self._facts["revision"] + 1, now_ms))
        return self._facts["revision"]

    @property
    def timeline(self) -> ReplayTimeline | None:
        """How the log is replayed; None until ``replay`` was called."""
        if "replay_first" not in self._facts:
            return None
        return ReplayTimeline(*(self._facts[f"replay_{name}"] for name in ReplayTimeline.__slots__))

    def replay(self, source: str, timeline: ReplayTimeline) -> None:
        """Place every exchange on this timeline, once and for all, and begin to read ``source``."""
        with self._transaction():
            for name in ReplayTimeline.__slots__:
                self._keep(f"replay_{name}", getattr(timeline, name))
            self._move(source, START)

    def position(self, source: str) -> SourcePosition | None:
        """Where reading of a source goes on; None when it was never begun."""
        row = self._database.execute("SELECT offset, line FROM source WHERE name = ?", (source,)).fetchone()
        return SourcePosition(*row) if row else None

    def rename(self, source: str, name: str) -> None:
        """Keep the position of a source under another name from now on, unless one is kept under that already."""
        with self._transaction():
            self._database.execute("UPDATE OR IGNORE source SET name = ? WHERE name = ?", (name, source))
            self._database.execute("DELETE FROM source WHERE name = ?", (source,))

    def _move(self, source: str, position: SourcePosition) -> None:
        row = (source, position.offset, position.line)
        self._database.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?)", row)

    def remap(self, mapping: Attributor, *, now_ms: int) -> None:
        """Attribute pairs by another register version; summaries whose attribution changes are published anew."""
        kept = self._facts["slot_seconds"]
        if mapping.slot_seconds != kept:
            raise StateError(
                f"the collector's state {self._name} counts in slots of {kept} s and the register now says "
                f"{mapping.slot_seconds} s: give the collector a new data directory"
            )
        self._mapping = mapping
        with self._transaction():
            if changed := self._pairs.remap(mapping):
                cells.revise(self._database, changed, self._revise(now_ms))

    def take(self, source: str, batch: RecordBatch, *, now_ms: int, asked_from_ms: int | None = None) -> BatchResult:
        """Count a batch and move on in its source, in one transaction.

        ``asked_from_ms`` says from when on the source was asked for it, where it is one that is asked. That of its first batch
        is kept: of slots that begin earlier only what was logged late will come, and a summary of that would replace a
        fuller one, which a state that was lost has published.
        """
        horizon = self._facts.get("horizon", 0)
        begun = self._begun(source, asked_from_ms)
        oldest = max(horizon, self._slot_from(begun))
        by_request: dict[bytes, list[Side]] = {}
        expired = 0
        for side in batch.sides:
            if side.request_in < oldest:
                expired += 1
            elif side.request in by_request:
                by_request[side.request].append(side)
            else:
                by_request[side.request] = [side]
        with self._transaction():
            counting = self._counting()
            fresh = counting.take(by_request, self._span_ms, horizon - _HOUR_MS)
            self._change(counting, now_ms)
            self._move(source, batch.position)
            if begun is not None and _BEGUN + source not in self._facts:
                self._keep(_BEGUN + source, begun)
            if self._forget and fresh:
                # The median, so that one clock gone wrong does not make everybody else's records look old.
                self._forget_before(min(now_ms, sorted(fresh)[len(fresh) // 2]) - self._span_ms)
        refused = _places(batch, counting.refused)
        return BatchResult(
            read=len(batch.sides),
            duplicates=len(batch.sides) - expired - len(fresh) - len(refused),
            expired=expired,
            rejected=len({reject.number for reject in batch.rejects}) + len(refused),
            paired=sum(tally.paired for tally in counting.changes.values()),
            refused=refused,
        )

    def _begun(self, source: str, asked_from_ms: int | None) -> int | None:
        """From when on a source was asked for its first batch; None where it was begun without that being kept."""
        begun = self._facts.get(_BEGUN + source)
        if begun is None and asked_from_ms is not None and self.position(source) is None:
            return asked_from_ms
        return begun

    def _slot_from(self, moment_ms: int | None) -> int:
        """When the first slot begins that does so at this moment or later, in ms; 0 without a moment."""
        slot_ms = self._facts["slot_seconds"] * 1000
        return 0 if moment_ms is None else -(-moment_ms // slot_ms) * slot_ms

    def _counting(self) -> BatchCounter:
        return BatchCounter(self._database, self._pairs, self._mapping, self._facts["slot_seconds"], self.timeline)

    def _change(self, counting: BatchCounter, now_ms: int) -> None:
        """Add what was counted to summaries and their totals."""
        if changes := {key: tally for key, tally in counting.changes.items() if tally}:
            cells.change(self._database, changes, self._revise(now_ms))
            self._add_to_totals(*(sum(tally.numbers[at] for tally in changes.values()) for at in _TOTALS))

    def _pair_anew(self, before: int, now_ms: int) -> None:
        """Count by the present span what was counted by the one before, and keep the span."""
        if self._facts.get("span_ms") == self._span_ms:
            return
        with self._transaction():
            if before != self._span_ms:
                counting = self._counting()
                counting.pair_anew(before, self._span_ms, self._facts.get("horizon", 0) - _HOUR_MS)
                self._change(counting, now_ms)
            self._keep("span_ms", self._span_ms)

    def _forget_before(self, horizon: int) -> None:
        """Drop what no record can change any more: records are refused from ``horizon`` on, and sides looked at an hour
        longer, because the clocks of the two sides differ. A day's move of the horizon clears all of the table of requests,
        a slice at a time, so that no batch waits for all of it. Pairs that nothing kept names go with it.
        """
        before = self._facts.get("horizon", 0)
        if horizon < before + min(_HOUR_MS, self._span_ms // 10):
            return
        self._keep("horizon", horizon)
        done = self._facts.get("cleared", 0)
        due = max(1, min(sides.SLICES, (horizon - before) * sides.SLICES // _CLEARING_MS))
        for first, end in ((done, min(done + due, sides.SLICES)), (0, done + due - sides.SLICES)):
            slices = range(first, max(first, end))
            sides.forget(self._database, slices, horizon - _HOUR_MS)
            if self._pairs.any_idle:
                self._pairs.named(sides.named(self._database, slices))
            if end == sides.SLICES:
                self._pairs.turn()
        self._keep("cleared", (done + due) % sides.SLICES)
        # A side may be up to a span away from the one that decided the slot.
        oldest = (self.timeline or ReplayTimeline()).place(horizon - _HOUR_MS - self._span_ms) // 1000
        exchanges, orphans = cells.forget(self._database, oldest - self._facts["slot_seconds"])
        self._add_to_totals(-exchanges, -orphans)

    def summaries(self) -> Iterator[ExchangeSummary]:
        """Every summary kept that counts at least one exchange, by pair and slot."""
        return map(self._summary, cells.counted(self._database))

    def unpublished(self, limit: int) -> list[PendingSummary]:
        """Summaries the bus has not acknowledged at their present revision, the longest waiting first."""
        return [PendingSummary(cell.pair, self._summary(cell)) for cell in cells.unpublished(self._database, limit)]

    def acknowledge(self, sent: Sequence[PendingSummary]) -> None:
        """Mark what the bus has acknowledged; what changed since stays unpublished."""
        with self._transaction():
            marks = [(one.pair, one.summary.slot_start, one.summary.revision) for one in sent]
            cells.acknowledge(self._database, marks)

    def totals(self) -> LedgerTotals:
        """Sum over all summaries kept."""
        return LedgerTotals(self._facts["exchanges"], self._facts["orphans"], cells.waiting(self._database))

    def _summary(self, cell: SummaryRow) -> ExchangeSummary:
        parties, attribution = self._pairs.parties(cell.pair), self._pairs.attribution(cell.pair)
        return summary(parties, attribution, cell.slot, cell.revision, cell.tally)


def _places(batch: RecordBatch, refused: Sequence[Side]) -> tuple[Reject, ...]:
    """Say where those of a batch stood that were refused, usually none."""
    those = set(map(id, refused))
    return (
        tuple(batch.reject(at, _TOO_MANY) for at, side in enumerate(batch.sides) if id(side) in those) if those else ()
    )
