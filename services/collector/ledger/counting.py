"""How summaries change as sides come and pair: the sum over exchanges, request by request (docs/exchange.md §3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.parties import PartyPairs
from services.collector.ledger.sides import read_far_apart, read_sides, write_sides
from services.collector.ledger.summary import SummaryCounts
from services.collector.records import ReplayTimeline, Side

MOST_SIDES: Final = 64
"""Sides kept of one request id: an exchange has two, and an id that is used again has a few."""


@dataclass(eq=False)
class BatchCounter:
    """Stores the sides of one transaction, and counts how they change summaries.

    Spans and times are in milliseconds, by the clocks that stamped the records.
    """

    database: sqlite3.Connection
    pairs: PartyPairs
    slot_seconds: int
    timeline: ReplayTimeline | None
    changes: dict[tuple[int, int], SummaryCounts] = field(default_factory=dict, init=False)
    """By (pair, slot): what to add to the summary."""
    refused: list[Side] = field(default_factory=list, init=False)
    """Sides beyond the MOST_SIDES of their request id."""

    def take(self, by_request: dict[bytes, list[Side]], span_ms: int, oldest_ms: int) -> list[int]:
        """Store the sides not seen before and count their exchanges; return when the requests of these sides came in.

        Once a request id has MOST_SIDES, further sides are refused: all of them are paired and written again with each one
        that comes, and a client chooses the id.
        """
        stored = read_sides(self.database, list(by_request), self.pairs, oldest_ms)
        changed: dict[bytes, list[tuple[Side, int]]] = {}
        fresh: list[int] = []
        for request, arrived in by_request.items():
            before = stored.get(request)
            if before is None and len(arrived) == 1:
                now = arrived
            else:
                distinct = {side.digest: side for side in (*(before or ()), *arrived)}
                if len(distinct) > MOST_SIDES:
                    distinct = dict(islice(distinct.items(), MOST_SIDES))
                    self.refused.extend(side for side in arrived if side.digest not in distinct)
                if before is not None and len(distinct) == len(before):
                    continue
                now = list(distinct.values())
            fresh.extend(side.request_in for side in now[len(before or ()) :])
            if before is not None:
                self._add(before, -1, span_ms)
            self._add(now, 1, span_ms)
            changed[request] = self._numbered(now)
        write_sides(self.database, changed)
        return fresh

    def pair_again(self, before_ms: int, span_ms: int, horizon_ms: int) -> None:
        """Count by one pairing span what was counted by another, ``before_ms``.

        Exchanges with a side so old that its summary may be forgotten stay as they were counted, and are forgotten: the
        other sides of their request id pair as if those had never been there.
        """
        fewer: dict[bytes, list[tuple[Side, int]]] = {}
        oldest = horizon_ms - before_ms
        for request, stored in read_far_apart(self.database, self.pairs, horizon_ms, min(before_ms, span_ms)):
            pairs = [
                [side for side in (exchange.client, exchange.producer) if side]
                for exchange in pair_sides(stored, before_ms)
            ]
            kept = [side for pair in pairs if all(side.request_in >= oldest for side in pair) for side in pair]
            self._add(kept, -1, before_ms)
            self._add(kept, 1, span_ms)
            if len(kept) < len(stored):
                fewer[request] = self._numbered(kept)
        write_sides(self.database, fewer)

    def _numbered(self, sides: Sequence[Side]) -> list[tuple[Side, int]]:
        return [(side, self.pairs.number(side.parties)) for side in sides]

    def _add(self, sides: Sequence[Side], sign: int, span_ms: int) -> None:
        for exchange in pair_sides(sides, span_ms):
            speaker = exchange.speaker
            moment = speaker.request_in if self.timeline is None else self.timeline.place(speaker.request_in)
            slot = moment // (self.slot_seconds * 1000) * self.slot_seconds
            key = self.pairs.number(speaker.parties), slot
            counts = self.changes.get(key)
            if counts is None:
                counts = self.changes[key] = SummaryCounts()
            counts.take(exchange, sign)
