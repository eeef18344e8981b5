"""What HTTP/1.1 and HTTP/2 connections have in common: one request, one answer, and its limits."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from services.prober.observation import Cause
from services.prober.tls import Handshake
from services.prober.transport import FreshConnection

__all__ = ["HEADERS_TOO_LARGE", "HEADER_LIMIT", "HttpConnection"]

HEADER_LIMIT: Final = 256 * 1024
"""Bytes that the headers of one answer may take, trailers included."""

HEADERS_TOO_LARGE: Final = f"the headers are larger than {HEADER_LIMIT >> 10} KiB"


class HttpConnection(FreshConnection):
    """A connection that sends one request and reads its answer. ``head`` marks an answer without a body.

    ``raw_limit`` bounds the body as received, in bytes, and ``raw_length`` counts it; ``status`` is 0 until an answer begins.
    """

    __slots__ = ("_head", "_header_bytes", "_raw_limit", "body", "headers", "raw_length", "status")
    protocol: ClassVar[str]

    def __init__(
        self, done: asyncio.Future[None], *, raw_limit: int, head: bool = False, handshake: Handshake | None = None
    ) -> None:
        super().__init__(done, handshake)
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.raw_length = 0
        self.status = 0
        self._head = head
        self._header_bytes = 0
        self._raw_limit = raw_limit

    def on_body(self, data: bytes) -> None:
        """Add a part of the body."""
        if self.ended:
            return
        self.raw_length += len(data)
        if self.raw_length > self._raw_limit:
            self.fail(Cause.BODY_LIMIT, "the body is larger than its limit")
        else:
            self.body.append(data)
