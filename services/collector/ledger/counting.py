"""How summaries change as sides come and pair: the sum over exchanges, request by request (docs/exchange.md §3)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from msgspec.structs import replace

from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.parties import PartyPairs
from services.collector.ledger.repeats import first_requests, mark_repeats
from services.collector.ledger.sides import StoredRequest, read_far_apart, read_sides, write_sides
from services.collector.ledger.summary import SummaryCounts
from services.collector.records import ReplayTimeline, Side

MOST_SIDES: Final = 64
"""Sides kept of one request id: an exchange has two, and an id that is used again has a few."""

_AT_ONCE: Final = 500  # requests; the pages that they are on stay in the cache from reading to writing

_NOTHING: Final = StoredRequest([])


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

        Requests are taken in the order of their ids, some at a time, so that each page of their table is read, changed and put away once.
        """
        ids = sorted(by_request)
        parts = (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
        return [
            moment
            for part in parts
            for moment in self._take({one: by_request[one] for one in part}, span_ms, oldest_ms)
        ]

    def _take(self, by_request: dict[bytes, list[Side]], span_ms: int, oldest_ms: int) -> list[int]:
        """Take some requests, as ``take``.

        Once a request id has MOST_SIDES, further sides are refused: all of them are paired and written again with each one
        that comes, and a client chooses the id.
        """
        stored = read_sides(self.database, list(by_request), self.pairs, oldest_ms)
        changed: dict[bytes, StoredRequest] = {}
        fresh: list[Side] = []
        for request, arrived in by_request.items():
            before = stored.get(request, _NOTHING)
            if not before.sides and len(arrived) == 1:
                now = arrived
            else:
                distinct = {side.digest: side for side in (*before.sides, *arrived)}
                if len(distinct) > MOST_SIDES:
                    distinct = dict(islice(distinct.items(), MOST_SIDES))
                    self.refused.extend(side for side in arrived if side.digest not in distinct)
                if len(distinct) == len(before.sides):
                    continue
                now = list(distinct.values())
            more = now[len(before.sides) :]
            fresh += more
            message = before.message
            for side in more:
                if side.message is not None and (message is None or side.message < message):
                    message = side.message
            changed[request] = StoredRequest(now, message, before.repeated)
        self._count(stored, changed, span_ms, oldest_ms)
        return [side.request_in for side in fresh]

    def _count(
        self, stored: dict[bytes, StoredRequest], changed: dict[bytes, StoredRequest], span_ms: int, oldest_ms: int
    ) -> None:
        """Write what has changed, and count its exchanges in place of those before."""
        moved = [one for one, now in changed.items() if now.message != stored.get(one, _NOTHING).message]
        messages = (*(changed[one].message for one in moved), *(stored.get(one, _NOTHING).message for one in moved))
        first = first_requests(self.database, messages)
        write_sides(self.database, changed, stored, self.pairs)
        stored |= mark_repeats(self.database, changed, moved, first, self.pairs, oldest_ms)
        for request, now in changed.items():
            if request in stored:
                self._add(stored[request], -1, span_ms)
            self._add(now, 1, span_ms)

    def pair_again(self, before_ms: int, span_ms: int, horizon_ms: int) -> None:
        """Count by one pairing span what was counted by another, ``before_ms``.

        Exchanges with a side so old that its summary may be forgotten stay as they were counted, and are forgotten: the
        other sides of their request id pair as if those had never been there.
        """
        fewer: dict[bytes, StoredRequest] = {}
        oldest = horizon_ms - before_ms
        for request, stored in read_far_apart(self.database, self.pairs, horizon_ms, min(before_ms, span_ms)):
            pairs = [
                [side for side in (exchange.client, exchange.producer) if side]
                for exchange in pair_sides(stored.sides, before_ms)
            ]
            sides = [side for pair in pairs if all(side.request_in >= oldest for side in pair) for side in pair]
            kept = replace(stored, sides=sides)
            self._add(kept, -1, before_ms)
            self._add(kept, 1, span_ms)
            if len(sides) < len(stored.sides):
                fewer[request] = kept
        write_sides(self.database, fewer, fewer, self.pairs)

    def _add(self, stored: StoredRequest, sign: int, span_ms: int) -> None:
        for number, exchange in enumerate(pair_sides(stored.sides, span_ms)):
            speaker = exchange.speaker
            moment = speaker.request_in if self.timeline is None else self.timeline.place(speaker.request_in)
            slot = moment // (self.slot_seconds * 1000) * self.slot_seconds
            key = self.pairs.number(speaker.parties), slot
            counts = self.changes.get(key)
            if counts is None:
                counts = self.changes[key] = SummaryCounts()
            counts.take(exchange, sign, repeated=stored.repeated or number > 0)
