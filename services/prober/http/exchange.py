"""Sends one HTTP request and reads its whole answer, over a fresh connection: one hop of a probe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import httpx

from services.core.model import Tls
from services.prober.http.http1 import Http1Connection
from services.prober.http.http2 import Http2Connection
from services.prober.http.http_connection import Http2Request, HttpConnection, WireRequest
from services.prober.observation import Cause, Failure, Phase
from services.prober.transport import (
    REFUSED_CREDENTIALS,
    Outbound,
    ProbeFailedError,
    ProbeTrace,
    ProxyRoute,
    handshake_factory,
    run_connection,
)

USER_AGENT = "peyvand-prober/1"
_PROXY_UNAUTHORIZED = 407
_PORTS = {"http": 80, "https": 443}
# HTTP/2 expresses these in another way, or not at all (RFC 9113, 8.2.2 and 8.3.1).
_HTTP1_ONLY = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request in a fifth of the memory that httpx's own takes. Requests to one place share most of their headers."""

    method: str
    url: str
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, request: httpx.Request) -> KeptRequest:
        """Keep what a request consists of."""
        # An access token would stay in the cache after another one has replaced it.
        headers = tuple(one if one[0] == b"Authorization" else _shared(*one) for one in request.headers.raw)
        return cls(request.method, str(request.url), headers, request.read())

    def build(self) -> httpx.Request:
        """Return the request as httpx has it."""
        return httpx.Request(self.method, self.url, headers=self.headers, content=self.content or None)


@lru_cache(maxsize=8192)
def _shared(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name, value


def wire_request(
    request: httpx.Request,
    tls: Tls,
    body_limit: int,
    *,
    compressed: bool,
    version: str = "1.1",
    proxy: ProxyRoute | None = None,
) -> WireRequest:
    """Serialise a request for this version of HTTP. ``tls`` is the profile for https. Raises ValueError at line breaks.

    A compressed body may be longer than its decoded form by what the format adds to incompressible data.
    """
    url = request.url
    if any(b"\r" in part or b"\n" in part for header in request.headers.raw for part in header):
        raise ValueError("a header holds a line break")
    return WireRequest(
        payload=_http2_payload(request) if version == "2" else _http1_payload(request, proxy),
        host=url.raw_host.decode("ascii"),
        port=url.port or _PORTS[url.scheme],
        tls=tls if url.scheme == "https" else None,
        raw_limit=2 * body_limit + 1024 if compressed else body_limit,
        head=request.method == "HEAD",
        proxy=proxy,
    )


def _http1_payload(request: httpx.Request, proxy: ProxyRoute | None) -> bytes:
    url, place, for_proxy = request.url, request.url.raw_path, b""
    if proxy is not None and url.scheme == "http":  # a proxy is told the whole URL (RFC 9112, 3.2.2)
        place, for_proxy = b"http://" + url.netloc + url.raw_path, proxy.header
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), place)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n" + for_proxy + b"\r\n" + request.read()


def _http2_payload(request: httpx.Request) -> Callable[[], Http2Request]:
    url = request.url
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    pseudo = (
        (b":method", request.method.encode()),
        (b":scheme", url.raw_scheme),
        (b":authority", dict(headers)[b"host"]),
        (b":path", url.raw_path),
    )
    http2_request = Http2Request(
        pseudo + tuple(header for header in headers if header[0] not in _HTTP1_ONLY), request.read()
    )
    return lambda: http2_request


async def send_request(request: WireRequest, outbound: Outbound, trace: ProbeTrace) -> HttpConnection:
    """Send a request over a fresh connection and wait for its answer.

    Raises ProbeFailedError. The trace and its connection then hold what happened before.
    """
    trace.connection = None
    kind, alpn = (Http1Connection, "http/1.1") if isinstance(request.payload, bytes) else (Http2Connection, "h2")
    make_handshake = None
    if request.tls is not None:
        make_handshake = handshake_factory(request.tls, request.host, outbound, alpn=(alpn,))

    def make(done: asyncio.Future[None]) -> HttpConnection:
        return kind(done, request, None if make_handshake is None else make_handshake())

    answer = await run_connection(
        request.host, request.port, make, outbound, trace, proxy=request.proxy, tunnel=not request.forwarded
    )
    # A proxy does not pass on a Proxy-Authenticate of the target (RFC 9110, 11.7.1).
    if request.forwarded and answer.status == _PROXY_UNAUTHORIZED and answer.has_header(b"proxy-authenticate"):
        raise ProbeFailedError(Failure(Phase.PROXY, Cause.CREDENTIAL, REFUSED_CREDENTIALS))
    return answer
