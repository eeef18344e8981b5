"""Pairs the two sides of exchanges (docs/exchange.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.collector.ledger.sides import StoredSide


class PairedExchange(NamedTuple):
    """One exchange as logged by one side or by both."""

    client: StoredSide | None
    producer: StoredSide | None


def _order(side: StoredSide) -> tuple[int, bytes]:
    return side.request_in, side.digest


def pair_sides(sides: Sequence[StoredSide], span_ms: int) -> list[PairedExchange]:
    """Return the exchanges of the distinct sides that share one request id; the order of the sides does not matter.

    Sides pair when their requests came in within ``span_ms`` of each other, the earliest client first. A side that is left
    over is alone.
    """
    producers = sorted((side for side in sides if side.producer), key=_order)
    paired: list[PairedExchange] = []
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
