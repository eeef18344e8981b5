"""Leaves out sides that are stored already, and counts how summaries change by the others (docs/exchange.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from services.collector.ledger.exchange_sums import Counted, sum_exchanges
from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.parties import PartyPairs
from services.collector.ledger.repeats import mark_repeats
from services.collector.ledger.requests import Requests
from services.collector.ledger.sides import SIDE, StoredRequest, digests, packed, unpacked
from services.collector.ledger.summary import SummaryCounts
from services.collector.records import ReplayTimeline, Side

MOST_SIDES: Final = 64
"""Sides kept of one request id. An exchange has two, and an id that is used again has a few."""

_AT_ONCE: Final = 500  # requests

_MOST_COUNTED: Final = 40_000  # requests, which with their sums take some 20 MiB

_NOTHING: Final = StoredRequest()


@dataclass(eq=False)
class BatchCounter:
    """Stores the new sides of one transaction, and counts how they change summaries.

    A side is new if its digest is not among those of its request id.

    Spans and times are in milliseconds, by the clocks that stamped the records.
    """

    requests: Requests
    pairs: PartyPairs
    slot_seconds: int
    timeline: ReplayTimeline | None
    changes: dict[tuple[int, int], SummaryCounts] = field(default_factory=dict, init=False)
    """By (pair, slot): what to add to the summary."""
    _counted: list[Counted] = field(default_factory=list, init=False)
    refused: list[Side] = field(default_factory=list, init=False)
    """Sides beyond the MOST_SIDES of their request id."""

    def take(self, by_request: dict[bytes, list[Side]], span_ms: int, oldest_ms: int) -> list[int]:
        """Store the sides not seen before and count their exchanges; return when the requests of these sides came in.

        Requests are taken in the order of their ids, in which they are on disk.
        """
        ids, fresh = sorted(by_request), list[int]()
        for start in range(0, len(ids), _AT_ONCE):
            fresh += self._take(ids[start : start + _AT_ONCE], by_request, span_ms, oldest_ms)
        self._sum(span_ms)
        return fresh

    def _take(
        self, ids: Sequence[bytes], by_request: Mapping[bytes, Sequence[Side]], span_ms: int, oldest_ms: int
    ) -> list[int]:
        """Take some of the requests, as ``take`` does.

        Once a request id has MOST_SIDES, further sides are refused: all sides of an id are paired and written again
        with each new one, and a client chooses the id.
        """
        stored = self.requests.read(ids, oldest_ms)
        changed: dict[bytes, StoredRequest] = {}
        fresh: list[int] = []
        number = self.pairs.number
        for request in ids:
            arrived = by_request[request]
            before = stored.get(request, _NOTHING)
            sides, newest, message = before.sides, before.newest, before.message
            known = digests(sides) if sides or len(arrived) > 1 else set()
            for side in arrived:
                if side.digest in known:
                    continue
                if len(known) == MOST_SIDES:
                    self.refused.append(side)
                    continue
                known.add(side.digest)
                sides += packed(side, number(side.parties))
                newest = max(newest, side.request_in)
                fresh.append(side.request_in)
                if side.message is not None and (message is None or side.message < message):
                    message = side.message
            if len(sides) > len(before.sides):
                changed[request] = StoredRequest(sides, newest, message, before.repeated)
        self._count(stored, changed, oldest_ms)
        if len(self._counted) > _MOST_COUNTED:
            self._sum(span_ms)
        return fresh

    def _count(self, stored: dict[bytes, StoredRequest], changed: dict[bytes, StoredRequest], oldest_ms: int) -> None:
        """Write what has changed, and count its exchanges in place of the former ones."""
        moved = [one for one, now in changed.items() if now.message != stored.get(one, _NOTHING).message]
        messages = {changed[one].message for one in moved} | {stored.get(one, _NOTHING).message for one in moved}
        first = self.requests.first(message for message in messages if message is not None)
        self.requests.change(changed, stored)
        stored |= mark_repeats(self.requests, changed, moved, first, oldest_ms)
        for request, now in changed.items():
            if request in stored:
                before = stored[request]
                self._counted.append(Counted(before.sides, -1, before.repeated))
            self._counted.append(Counted(now.sides, 1, now.repeated))

    def pair_again(self, before_ms: int, span_ms: int, horizon_ms: int) -> None:
        """Count by one pairing span what was counted by another, ``before_ms``.

        Exchanges with a side so old that its summary may be forgotten stay as they were counted, and are forgotten. The
        other sides of their request id pair as if those had never existed.
        """
        fewer: dict[bytes, StoredRequest] = {}
        oldest = horizon_ms - before_ms
        again: list[StoredRequest] = []
        for request, stored in self.requests.far_apart(horizon_ms, min(before_ms, span_ms)):
            exchanges = [[side for side in both if side] for both in pair_sides(unpacked(stored.sides), before_ms)]
            left = [side for both in exchanges if all(side.request_in >= oldest for side in both) for side in both]
            size = SIDE.itemsize
            sides = b"".join([stored.sides[side.place * size : (side.place + 1) * size] for side in left])
            kept = replace(stored, sides=sides, newest=max((side.request_in for side in left), default=stored.newest))
            if left:
                again.append(kept)
            if len(sides) < len(stored.sides):
                fewer[request] = kept
        for sign, span in ((-1, before_ms), (1, span_ms)):
            for start in range(0, len(again), _MOST_COUNTED):
                self._counted += [
                    Counted(one.sides, sign, one.repeated) for one in again[start : start + _MOST_COUNTED]
                ]
                self._sum(span)
        self.requests.change(fewer, fewer)

    def _sum(self, span_ms: int) -> None:
        """Add what was counted since the last time to ``changes``."""
        for key, counts in sum_exchanges(self._counted, span_ms, self._slots_of).items():
            known = self.changes.setdefault(key, counts)
            if known is not counts:
                known.add(counts)
        self.pairs.keep({pair for pair, _ in self.changes})
        self._counted.clear()

    def _slots_of(self, moments: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the starts of the slots, in seconds, that hold moments in ms."""
        if self.timeline is not None:
            moments = np.array([self.timeline.place(moment) for moment in moments.tolist()], np.int64)
        return moments // (self.slot_seconds * 1000) * self.slot_seconds
