"""One hop of an HTTP probe: one request, one whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.core.model import Tls
from services.prober.http.http1 import Connection
from services.prober.http.http2 import Http2Connection, Request
from services.prober.transport.outbound import Outbound
from services.prober.transport.reach import shaking, talk
from services.prober.transport.trail import Trail

__all__ = ["Answer", "AnyConnection", "Call", "hop"]

AnyConnection = Connection | Http2Connection


@dataclass(frozen=True, slots=True)
class Call:
    """What one hop sends, and where to; ``tls`` None over plain TCP. ``raw_limit`` bounds the body as received, in bytes.

    ``wire`` is the request's bytes in HTTP/1.1, or what returns the request for HTTP/2 when it is about to be sent.
    """

    wire: bytes | Callable[[], Request] = field(repr=False)
    host: str
    port: int
    tls: Tls | None
    raw_limit: int
    head: bool


class Answer:
    """Where the connection of the hop that is under way can be seen, also when the probe is cut off in the middle."""

    def __init__(self) -> None:
        self.connection: AnyConnection | None = None


async def hop(call: Call, outbound: Outbound, trail: Trail, answer: Answer) -> AnyConnection:
    """Ask once over a fresh connection. Raises StoppedError; trail and answer then hold what was learnt before."""
    answer.connection = None
    wire = call.wire
    alpn = "http/1.1" if isinstance(wire, bytes) else "h2"
    handshake = None if call.tls is None else shaking(call.tls, call.host, outbound, trail, alpn=(alpn,))

    def make(done: asyncio.Future[None]) -> AnyConnection:
        shake = handshake and handshake()
        if isinstance(wire, bytes):
            answer.connection = Connection(done, wire, raw_limit=call.raw_limit, head=call.head, handshake=shake)
        else:
            answer.connection = Http2Connection(done, wire, raw_limit=call.raw_limit, head=call.head, handshake=shake)
        return answer.connection

    return await talk(call.host, call.port, make, outbound, trail)
