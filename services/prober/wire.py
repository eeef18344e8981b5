"""An httpx request as the bytes that go over the wire, and where they go. Pure."""

from __future__ import annotations

import httpx

from services.core.definition import Tls
from services.prober.hop import Call

__all__ = ["call_of"]

_PORTS = {"http": 80, "https": 443}


def call_of(request: httpx.Request, tls: Tls, body_limit: int, *, compressed: bool) -> Call:
    """Write what one hop sends, over TLS by this profile for https. Raises ValueError when a header would end early.

    A compressed body may be longer than its decoded form by what the format adds to incompressible data.
    """
    url = request.url
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a header holds a line break")
    return Call(
        wire=b"\r\n".join(lines) + b"\r\n\r\n" + request.read(),
        host=url.raw_host.decode("ascii"),
        port=url.port or _PORTS[url.scheme],
        tls=tls if url.scheme == "https" else None,
        raw_limit=2 * body_limit + 1024 if compressed else body_limit,
        head=request.method == "HEAD",
    )
