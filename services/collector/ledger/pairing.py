"""Pairs the two sides of exchanges, and derives durations and skew from both views (docs/exchange.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from services.collector.records import ExchangeResult, Side

_OK: Final = ExchangeResult.OK


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

They are the whole exchange; request and response inside each security server; the provider as the client's server saw it
(client view) and as its own did (producer view); and the provider's own system.
"""


class PairedExchange(msgspec.Struct, frozen=True, gc=False):
    """One exchange as logged by one side or by both. Durations in milliseconds; None where a stamp or a side is missing.

    The sides' clocks differ, so durations measured across them (``request_network``, ``response_network``) may be
    negative; all others compare stamps of one clock.
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
        return producer.result if producer and (client is None or client.result is _OK) else self.speaker.result

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
        """Producer clock - client clock, milliseconds: half the difference of the two network durations, which cancels
        them where both ways take equally long (the offset formula of RFC 5905, section 8).
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


def _order(side: Side) -> tuple[int, bytes]:
    return side.request_in, side.digest


def pair_sides(sides: Sequence[Side], span_ms: int) -> list[PairedExchange]:
    """Return the exchanges of the distinct sides that share one request id; the order of the sides does not matter.

    Sides pair when their requests came in within ``span_ms`` of each other, the earliest client first. A side that is left
    over is an orphan.
    """
    if len(sides) == 1:
        side = sides[0]
        return [PairedExchange(None, side) if side.producer else PairedExchange(side, None)]
    if len(sides) == 2 and sides[0].producer != sides[1].producer:  # as nearly all do
        producer, client = sides if sides[0].producer else (sides[1], sides[0])
        if abs(producer.request_in - client.request_in) <= span_ms:
            return [PairedExchange(client, producer)]
    producers = sorted((side for side in sides if side.producer), key=_order)
    paired, position = [], 0
    for client in sorted((side for side in sides if not side.producer), key=_order):
        # A producer that is too early for this client is too early for all later ones.
        while position < len(producers) and producers[position].request_in < client.request_in - span_ms:
            paired.append(PairedExchange(None, producers[position]))
            position += 1
        if position < len(producers) and producers[position].request_in <= client.request_in + span_ms:
            paired.append(PairedExchange(client, producers[position]))
            position += 1
        else:
            paired.append(PairedExchange(client, None))
    return [*paired, *(PairedExchange(None, producer) for producer in producers[position:])]
