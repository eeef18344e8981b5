"""Holds what HTTP/1.1 and HTTP/2 have in common: one request, one answer, and its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from services.core.model import Tls
from services.prober.observation import Cause
from services.prober.tls import Handshake
from services.prober.transport import BYTE_LIMIT, FreshConnection, ProxyRoute

MAX_HEADERS: Final = 256
"""Headers that one answer may have. Servers send some dozens, and Python's own client takes 100."""

TOO_MANY_HEADERS: Final = f"the answer has more than {MAX_HEADERS} headers"

NO_STATUS: Final = "the answer has no status that HTTP knows"

# Servers send one or two before the answer itself.
_MAX_INTERIM_ANSWERS: Final = 32
# How many bytes may arrive for each byte of the body. Chunks of a single byte take six.
_WIRE_BYTES_PER_BODY_BYTE: Final = 8


@dataclass(frozen=True, slots=True)
class Http2Request:
    """One request: its headers in order, pseudo-headers first and with names in lower case, and its body."""

    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """The request of one hop, its destination, and its ``proxy``. ``tls`` is None over plain TCP.

    ``payload`` holds the bytes of an HTTP/1.1 request, or a function that returns an HTTP/2 request when it is sent.
    ``raw_limit`` bounds the body as received, in bytes. ``head`` marks an answer without a body.
    """

    payload: bytes | Callable[[], Http2Request] = field(repr=False)
    host: str
    port: int
    tls: Tls | None
    raw_limit: int
    head: bool
    proxy: ProxyRoute | None = None

    @property
    def forwarded(self) -> bool:
        """Whether a proxy reads and forwards the request. Any other request goes through the proxy's tunnel."""
        return self.proxy is not None and self.tls is None and isinstance(self.payload, bytes)


class HttpConnection(FreshConnection):
    """A connection that sends one request and reads its answer.

    ``raw_length`` counts the body as received, in bytes; ``status`` is 0 until an answer begins.
    """

    __slots__ = ("_header_bytes", "_interim_answers", "_request", "body", "headers", "raw_length", "status")
    protocol: ClassVar[str]

    def __init__(self, done: asyncio.Future[None], request: WireRequest, handshake: Handshake | None = None) -> None:
        super().__init__(done, handshake, byte_limit=BYTE_LIMIT + _WIRE_BYTES_PER_BODY_BYTE * request.raw_limit)
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.raw_length = 0
        self.status = 0
        self._header_bytes = 0
        self._interim_answers = 0
        self._request = request

    def has_header(self, name: bytes) -> bool:
        """Return whether the answer has a header, given in lower case."""
        return any(header.lower() == name for header, _ in self.headers)

    def count_interim_answer(self) -> None:
        """Count an interim answer; fail when there are too many."""
        self._interim_answers += 1
        if self._interim_answers > _MAX_INTERIM_ANSWERS:
            self.fail(Cause.PROTOCOL, f"more than {_MAX_INTERIM_ANSWERS} interim answers came before the answer itself")

    def on_body(self, data: bytes) -> None:
        """Add a part of the body."""
        if self.ended:
            return
        self.raw_length += len(data)
        if self.raw_length > self._request.raw_limit:
            self.fail(Cause.BODY_LIMIT, "the body is larger than its limit")
        else:
            self.body.append(data)
