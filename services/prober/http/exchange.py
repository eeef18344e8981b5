"""One hop of an HTTP probe: one request, one whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from services.core.model import Tls
from services.prober.http.http1 import Http1Connection
from services.prober.http.http2 import Http2Connection, Http2Request
from services.prober.transport import Outbound, ProbeTrace, handshake_factory, run_connection

__all__ = ["Answer", "HttpConnection", "WireRequest", "send_request", "wire_request"]

_PORTS = {"http": 80, "https": 443}
# HTTP/2 says these otherwise, or not at all (RFC 9113, 8.2.2 and 8.3.1).
_UNSENT = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)


def wire_request(
    request: httpx.Request, tls: Tls, body_limit: int, *, compressed: bool, version: str = "1.1"
) -> WireRequest:
    """Write what one hop sends in this version of HTTP, over TLS by this profile for https.

    Raises ValueError when a header would end early.

    A compressed body may be longer than its decoded form by what the format adds to incompressible data.
    """
    url = request.url
    if any(b"\r" in part or b"\n" in part for header in request.headers.raw for part in header):
        raise ValueError("a header holds a line break")
    return WireRequest(
        wire=_frames(request) if version == "2" else _text(request),
        host=url.raw_host.decode("ascii"),
        port=url.port or _PORTS[url.scheme],
        tls=tls if url.scheme == "https" else None,
        raw_limit=2 * body_limit + 1024 if compressed else body_limit,
        head=request.method == "HEAD",
    )


def _text(request: httpx.Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n" + request.read()


def _frames(request: httpx.Request) -> Callable[[], Http2Request]:
    url = request.url
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    pseudo = (
        (b":method", request.method.encode()),
        (b":scheme", url.raw_scheme),
        (b":authority", dict(headers)[b"host"]),
        (b":path", url.raw_path),
    )
    written = Http2Request(pseudo + tuple(header for header in headers if header[0] not in _UNSENT), request.read())
    return lambda: written


HttpConnection = Http1Connection | Http2Connection


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What one hop sends, and where to; ``tls`` None over plain TCP. ``raw_limit`` bounds the body as received, in bytes.

    ``wire`` is the request's bytes in HTTP/1.1, or what returns the request for HTTP/2 when it is about to be sent.
    """

    wire: bytes | Callable[[], Http2Request] = field(repr=False)
    host: str
    port: int
    tls: Tls | None
    raw_limit: int
    head: bool


class Answer:
    """Where the connection of the hop that is under way can be seen, also when the probe is cut off in the middle."""

    def __init__(self) -> None:
        self.connection: HttpConnection | None = None


async def send_request(call: WireRequest, outbound: Outbound, trace: ProbeTrace, answer: Answer) -> HttpConnection:
    """Ask once over a fresh connection. Raises ProbeFailedError; trace and answer then hold what was learnt before."""
    answer.connection = None
    wire = call.wire
    alpn = "http/1.1" if isinstance(wire, bytes) else "h2"
    handshake = None if call.tls is None else handshake_factory(call.tls, call.host, outbound, trace, alpn=(alpn,))

    def make(done: asyncio.Future[None]) -> HttpConnection:
        shake = handshake and handshake()
        if isinstance(wire, bytes):
            answer.connection = Http1Connection(done, wire, raw_limit=call.raw_limit, head=call.head, handshake=shake)
        else:
            answer.connection = Http2Connection(done, wire, raw_limit=call.raw_limit, head=call.head, handshake=shake)
        return answer.connection

    return await run_connection(call.host, call.port, make, outbound, trace)
