"""What HTTP/1.1 and HTTP/2 have in common: one request, one answer, and its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from services.core.model import Tls
from services.prober.observation import Cause
from services.prober.tls import Handshake
from services.prober.transport import FreshConnection

HEADER_LIMIT: Final = 256 * 1024
"""Bytes that the headers of one answer may take, trailers included."""

HEADERS_TOO_LARGE: Final = f"the headers are larger than {HEADER_LIMIT >> 10} KiB"


@dataclass(frozen=True, slots=True)
class Http2Request:
    """One request: its headers, in order, pseudo-headers first, names in lower case; and its body."""

    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What one hop sends, and where to; ``tls`` None over plain TCP.

    ``payload`` holds the request's bytes in HTTP/1.1, or a function that returns the request in HTTP/2 when it is sent.
    ``raw_limit`` bounds the body as received, in bytes; ``head`` marks an answer without a body.
    """

    payload: bytes | Callable[[], Http2Request] = field(repr=False)
    host: str
    port: int
    tls: Tls | None
    raw_limit: int
    head: bool


class HttpConnection(FreshConnection):
    """A connection that sends one request and reads its answer.

    ``raw_length`` counts the body as received, in bytes; ``status`` is 0 until an answer begins.
    """

    __slots__ = ("_header_bytes", "_request", "body", "headers", "raw_length", "status")
    protocol: ClassVar[str]

    def __init__(self, done: asyncio.Future[None], request: WireRequest, handshake: Handshake | None = None) -> None:
        super().__init__(done, handshake)
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.raw_length = 0
        self.status = 0
        self._header_bytes = 0
        self._request = request

    def on_body(self, data: bytes) -> None:
        """Add a part of the body."""
        if self.ended:
            return
        self.raw_length += len(data)
        if self.raw_length > self._request.raw_limit:
            self.fail(Cause.BODY_LIMIT, "the body is larger than its limit")
        else:
            self.body.append(data)
