"""One hop of an HTTP probe: one request, one whole answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.core.definition import Tls
from services.prober.connection import Connection
from services.prober.network import Network
from services.prober.reach import shaking, talk
from services.prober.trail import Trail

__all__ = ["Answer", "Call", "hop"]


@dataclass(frozen=True, slots=True)
class Call:
    """What one hop sends, and where to; ``tls`` None over plain TCP. ``raw_limit`` bounds the body as received, in bytes."""

    wire: bytes = field(repr=False)
    host: str
    port: int
    tls: Tls | None
    raw_limit: int
    head: bool


class Answer:
    """Where the connection of the hop that is under way can be seen, also when the probe is cut off in the middle."""

    def __init__(self) -> None:
        self.connection: Connection | None = None


async def hop(call: Call, network: Network, trail: Trail, answer: Answer) -> Connection:
    """Ask once over a fresh connection. Raises StoppedError; trail and answer then hold what was learnt before."""
    answer.connection = None
    handshake = None if call.tls is None else shaking(call.tls, call.host, network, trail, alpn=("http/1.1",))

    def make(done: asyncio.Future[None]) -> Connection:
        answer.connection = Connection(
            done,
            call.wire,
            raw_limit=call.raw_limit,
            head=call.head,
            handshake=handshake and handshake(),
        )
        return answer.connection

    return await talk(call.host, call.port, make, network, trail)
