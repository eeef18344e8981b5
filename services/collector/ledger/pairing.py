"""Pairs the two sides of exchanges (docs/exchange.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar


class Pairable(Protocol):
    """What pairing needs of a side. The digest orders sides of the same moment."""

    @property
    def producer(self) -> bool:
        """Whether it is the producer's side."""

    @property
    def request_in(self) -> int:
        """When the request came in, in ms."""

    @property
    def digest(self) -> bytes:
        """What distinguishes it from other sides."""


S = TypeVar("S", bound=Pairable)


class PairedExchange(NamedTuple, Generic[S]):
    """One exchange as logged by one side or by both."""

    client: S | None
    producer: S | None


def _order(side: Pairable) -> tuple[int, bytes]:
    return side.request_in, side.digest


def pair_sides(sides: Sequence[S], span_ms: int) -> list[PairedExchange[S]]:
    """Return the exchanges of the distinct sides that share one request id; the order of the sides does not matter.

    Sides pair when their requests came in within ``span_ms`` of each other, the earliest client first. A side that is left
    over is alone.
    """
    producers = sorted((side for side in sides if side.producer), key=_order)
    paired: list[PairedExchange[S]] = []
    position = 0
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
