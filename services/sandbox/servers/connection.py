"""One accepted connection: reads one request, answers as it was told to when it was accepted, closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from services.sandbox.servers.replies import Reply, Request

__all__ = ["Conduct", "Connection"]

_PATIENCE = 30.0
"""Seconds after which a connection ends whatever happens, so that clients that never leave do not pile up."""

_LARGEST = 1 << 16
"""Bytes a request may have; more is no inquiry."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a connection is treated: what is replied (None: nothing, ever) after how many seconds, and whom to tell
    when the reply is written.
    """

    reply: Callable[[Request], Reply] | None
    delay: float
    written: Callable[[Reply], None]


class Connection(asyncio.Protocol):
    """Serves one connection; it is in ``open_`` while it lasts."""

    def __init__(self, conduct: Conduct, open_: set[asyncio.Transport]) -> None:
        self._conduct = conduct
        self._open = open_
        self._parser = httptools.HttpRequestParser(self)
        self._url = bytearray()
        self._body = bytearray()
        self._asked = False
        self._received = 0
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self._transport)
        self._later(_PATIENCE, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the caller's signature
        """End: an answer still due is not given."""
        self._open.discard(self._transport)
        for timer in self._timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take in a part of the request."""
        self._received += len(data)
        if self._received > _LARGEST:
            self._transport.abort()
            return
        if self._asked:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_url(self, url: bytes) -> None:
        """Take in a part of the path."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer, now or later, or never."""
        if self._asked or self._conduct.reply is None:
            return
        self._asked = True
        if self._conduct.delay:
            self._later(self._conduct.delay, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        if self._conduct.reply is None or self._transport.is_closing():
            return
        reply = self._conduct.reply(Request(bytes(self._url), bytes(self._body)))
        self._transport.write(reply.response)
        self._conduct.written(reply)
        self._transport.close()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))
