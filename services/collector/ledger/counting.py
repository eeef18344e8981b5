"""By how much summaries change, as sides come and pair: the sum over exchanges, request by request (docs/exchange.md)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import islice
from typing import Final

from services.collector.ledger import sides
from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.parties import PartyPairs
from services.collector.ledger.summary import SummaryCounts
from services.collector.records import ReplayTimeline, Side
from services.register.attribution import Attributor

__all__ = ["MOST_SIDES", "BatchCounter"]

MOST_SIDES: Final = 64
"""Sides that are kept of one request id: an exchange has two, and an id that is used again has a few."""


class BatchCounter:
    """What one transaction counts: it keeps sides, and tells how summaries change by them.

    Spans and times are in milliseconds, those of the clocks that stamped the records.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        pairs: PartyPairs,
        mapping: Attributor,
        slot_seconds: int,
        timeline: ReplayTimeline | None,
    ) -> None:
        self._database = database
        self._pairs = pairs
        self._mapping = mapping
        self._slot_seconds = slot_seconds
        self._timeline = timeline
        self.changes: dict[tuple[int, int], SummaryCounts] = {}
        """By how much the summary of a pair and a slot changes."""
        self.refused: list[Side] = []
        """Sides beyond the MOST_SIDES of their request id."""

    def take(self, by_request: dict[bytes, list[Side]], span_ms: int, oldest_ms: int) -> list[int]:
        """Keep the sides not seen before, and count their exchanges; return when their requests came in.

        Of a request id that has MOST_SIDES nothing more is kept: all of them are paired and written anew with each that comes,
        and an id is whatever a client sent.
        """
        known = sides.known(self._database, list(by_request), self._pairs, oldest_ms)
        kept: dict[bytes, list[tuple[Side, int]]] = {}
        fresh: list[int] = []
        for request, arrived in by_request.items():
            before = known.get(request)
            if before is None and len(arrived) == 1:
                now = arrived
            else:
                distinct = {side.digest: side for side in (*(before or ()), *arrived)}
                most = max(MOST_SIDES, len(before or ()))
                if len(distinct) > most:
                    distinct = dict(islice(distinct.items(), most))
                    self.refused.extend(side for side in arrived if side.digest not in distinct)
                if before is not None and len(distinct) == len(before):
                    continue
                now = list(distinct.values())
            fresh.extend(side.request_in for side in now[len(before or ()) :])
            if before is not None:
                self._add(before, -1, span_ms)
            self._add(now, 1, span_ms)
            kept[request] = self._numbered(now)
        sides.keep(self._database, kept)
        return fresh

    def pair_anew(self, before_ms: int, span_ms: int, horizon_ms: int) -> None:
        """Count by one pairing span what was counted by the one before.

        Exchanges with a side so old that its summary may be forgotten stay as they were counted, and are forgotten too: the
        others of their request id pair as if they had never been there.
        """
        fewer: dict[bytes, list[tuple[Side, int]]] = {}
        oldest = horizon_ms - before_ms
        apart = min(before_ms, span_ms)
        for request, known in sides.apart(self._database, self._pairs, horizon_ms, apart):
            pairs = [
                [side for side in (exchange.client, exchange.producer) if side]
                for exchange in pair_sides(known, before_ms)
            ]
            kept = [side for pair in pairs if all(side.request_in >= oldest for side in pair) for side in pair]
            self._add(kept, -1, before_ms)
            self._add(kept, 1, span_ms)
            if len(kept) < len(known):
                fewer[request] = self._numbered(kept)
        sides.keep(self._database, fewer)

    def _numbered(self, of_request: Sequence[Side]) -> list[tuple[Side, int]]:
        return [(side, self._pairs.number(side.parties, self._mapping)) for side in of_request]

    def _add(self, of_request: Sequence[Side], sign: int, span_ms: int) -> None:
        for exchange in pair_sides(of_request, span_ms):
            seen = exchange.seen
            moment = seen.request_in if self._timeline is None else self._timeline.place(seen.request_in)
            slot = moment // (self._slot_seconds * 1000) * self._slot_seconds
            key = self._pairs.number(seen.parties, self._mapping), slot
            tally = self.changes.get(key)
            if tally is None:
                tally = self.changes[key] = SummaryCounts()
            tally.take(exchange, sign)
