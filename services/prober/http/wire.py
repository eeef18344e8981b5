"""An httpx request as the bytes that go over the wire, and where they go. Pure."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from services.core.model import Tls
from services.prober.http.exchange import Call
from services.prober.http.http2 import Request

__all__ = ["call_of"]

_PORTS = {"http": 80, "https": 443}
# HTTP/2 says these otherwise, or not at all (RFC 9113, 8.2.2 and 8.3.1).
_UNSENT = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)


def call_of(request: httpx.Request, tls: Tls, body_limit: int, *, compressed: bool, version: str = "1.1") -> Call:
    """Write what one hop sends in this version of HTTP, over TLS by this profile for https.

    Raises ValueError when a header would end early.

    A compressed body may be longer than its decoded form by what the format adds to incompressible data.
    """
    url = request.url
    if any(b"\r" in part or b"\n" in part for header in request.headers.raw for part in header):
        raise ValueError("a header holds a line break")
    return Call(
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


def _frames(request: httpx.Request) -> Callable[[], Request]:
    url = request.url
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    pseudo = (
        (b":method", request.method.encode()),
        (b":scheme", url.raw_scheme),
        (b":authority", dict(headers)[b"host"]),
        (b":path", url.raw_path),
    )
    written = Request(pseudo + tuple(header for header in headers if header[0] not in _UNSENT), request.read())
    return lambda: written
