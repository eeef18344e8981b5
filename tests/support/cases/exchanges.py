"""The figures of an exchange, computed one at a time and field by field, as docs/exchange.md §3 says.

Tests compare the collector with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.sides import packed, unpacked
from services.collector.records import ExchangeResult, Side
from services.core.model import DURATION_BUCKETS

__all__ = ["DURATIONS", "Exchange", "counts_of", "exchanges_of"]


def _between(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start


DURATIONS = {
    "total": ("client", "request_in", "response_out"),
    "client_request": ("client", "request_in", "request_out"),
    "client_response": ("client", "response_in", "response_out"),
    "provider_client_view": ("client", "request_out", "response_in"),
    "provider_producer_view": ("producer", "request_in", "response_out"),
    "producer_request": ("producer", "request_in", "request_out"),
    "producer_response": ("producer", "response_in", "response_out"),
    "provider_system": ("producer", "request_out", "response_in"),
}
"""Durations at one side: the side, the stamp that it begins with and the one that it ends with.

They are the whole exchange; request and response inside each security server; the provider as the client's server saw
it (client view) and as its own did (producer view); and the provider's own system.
"""


@dataclass(frozen=True)
class Exchange:
    """One exchange as logged by one side or by both.

    Durations are in milliseconds, and None where a stamp or a side is missing.
    The sides' clocks differ, so durations measured across them (``request_network``, ``response_network``) may be
    negative. All others compare stamps of one clock.
    """

    client: Side | None
    producer: Side | None

    @property
    def speaker(self) -> Side:
        """The side that represents the exchange: the client's where it was logged."""
        side = self.client or self.producer
        assert side is not None
        return side

    @property
    def orphan(self) -> bool:
        """Whether only one side was logged so far, and another one is expected."""
        return (self.client is None or self.producer is None) and not self.speaker.whole

    @property
    def result(self) -> ExchangeResult:
        """The client's result; a failure that only the producer saw is a failure too."""
        client, producer = self.client, self.producer
        return (
            producer.result
            if producer and (client is None or client.result is ExchangeResult.OK)
            else self.speaker.result
        )

    def duration_of(self, name: str) -> int | None:
        """Return one of DURATIONS."""
        logged_by, start, end = DURATIONS[name]
        side = getattr(self, logged_by)
        return None if side is None else _between(getattr(side, start), getattr(side, end))

    @property
    def request_network(self) -> int | None:
        """The request between the two security servers, skew included."""
        return _between(self.client.request_out, self.producer.request_in) if self.client and self.producer else None

    @property
    def response_network(self) -> int | None:
        """The response between the two security servers, skew included."""
        return _between(self.producer.response_out, self.client.response_in) if self.client and self.producer else None

    @property
    def skew(self) -> float | None:
        """Producer clock - client clock in milliseconds: half the difference of the two network durations.

        The difference cancels them where both ways take equally long (the offset formula of RFC 5905, section 8).
        """
        if self.client is None or self.producer is None:
            return None
        there, back = self.request_network, self.response_network
        return None if there is None or back is None else (there - back) / 2

    @property
    def duration(self) -> int:
        """The whole exchange as the speaker saw it, never negative."""
        speaker = self.speaker
        return max(0, speaker.response_out - speaker.request_in)

    @property
    def request_bytes(self) -> int:
        """Size of the request: the client's view where it has one, else the producer's; 0 when unknown."""
        size = None if self.client is None else self.client.request_bytes
        if size is None and self.producer is not None:
            size = self.producer.request_bytes
        return size or 0

    @property
    def response_bytes(self) -> int:
        """Size of the response: the client's view where it has one, else the producer's; 0 when unknown."""
        size = None if self.client is None else self.client.response_bytes
        if size is None and self.producer is not None:
            size = self.producer.response_bytes
        return size or 0


def exchanges_of(sides: Sequence[Side], span_ms: int) -> list[Exchange]:
    """The exchanges of the distinct sides of one request id, paired as they are stored."""
    stored = unpacked(b"".join(packed(side, 1) for side in sides))
    return [Exchange(*(side and sides[side.place] for side in both)) for both in pair_sides(stored, span_ms)]


def counts_of(exchanges: list[Exchange], *, repeats: int = 0) -> tuple[list[int], list[int]]:
    """Numbers and buckets of the summary of these exchanges."""
    buckets = [0] * DURATION_BUCKETS
    for one in exchanges:
        buckets[bisect_left([2 ** (i / 2) for i in range(DURATION_BUCKETS - 1)], one.duration)] += 1
    skews = [one.skew for one in exchanges if one.skew is not None]
    numbers = [
        len(exchanges),
        *(sum(one.result is result for one in exchanges) for result in ExchangeResult),
        sum(one.request_bytes for one in exchanges),
        sum(one.response_bytes for one in exchanges),
        sum(one.orphan for one in exchanges),
        round(2 * sum(skews)),
        len(skews),
        sum(one.duration for one in exchanges),
        repeats,
    ]
    return numbers, buckets
