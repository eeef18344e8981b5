"""Serves one accepted connection: reads one request, answers in the state of its slot of acceptance, and closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import cast

import httptools

from services.sandbox.servers.replies import ReceivedRequest, ServerReply

_PATIENCE = 30.0
"""Seconds after which a connection is closed whatever happens, so that idle clients do not accumulate."""

_LARGEST = 1 << 16
"""The largest number of bytes in a request."""


@dataclass(frozen=True, slots=True)
class ConnectionBehaviour:
    """How a connection behaves.

    ``reply`` answers a request (None: never) after ``delay`` seconds, in ``executor`` unless that is None; ``on_written`` is
    called with the written reply, and ``on_failed`` with the error if none could be made.
    """

    reply: Callable[[ReceivedRequest], ServerReply] | None
    delay: float
    on_written: Callable[[ServerReply], None]
    on_failed: Callable[[Exception], None]
    executor: Executor | None = None


class ServedConnection(asyncio.Protocol):
    """Serves one connection, which is in ``transports`` while it is open."""

    def __init__(self, behaviour: ConnectionBehaviour, transports: set[asyncio.Transport]) -> None:
        self._behaviour = behaviour
        self._transports = transports
        self._parser = httptools.HttpRequestParser(self)
        self._url = bytearray()
        self._body = bytearray()
        self._complete = False
        self._received = 0
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time limit."""
        self._transport = cast(asyncio.Transport, transport)
        self._transports.add(self._transport)
        self._later(_PATIENCE, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the caller's signature
        """Cancel an answer that is still due."""
        self._transports.discard(self._transport)
        for timer in self._timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse a part of the request."""
        self._received += len(data)
        if self._received > _LARGEST:
            self._transport.abort()
            return
        if self._complete:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_url(self, url: bytes) -> None:
        """Add a part of the path."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer now, later or never."""
        if self._complete or self._behaviour.reply is None:
            return
        self._complete = True
        if self._behaviour.delay:
            self._later(self._behaviour.delay, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        if self._behaviour.reply is None or self._transport.is_closing():
            return
        request = ReceivedRequest(bytes(self._url), bytes(self._body))
        if self._behaviour.executor is None:
            self._write(partial(self._behaviour.reply, request))
            return
        reply = asyncio.get_running_loop().run_in_executor(self._behaviour.executor, self._behaviour.reply, request)
        reply.add_done_callback(self._write_later)

    def _write_later(self, reply: asyncio.Future[ServerReply]) -> None:
        if not reply.cancelled():
            self._write(reply.result)

    def _write(self, make: Callable[[], ServerReply]) -> None:
        """Write a reply and close the connection. If no reply can be made, close it without one."""
        try:
            reply = make()
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not wait
            self._transport.abort()
            self._behaviour.on_failed(error)
            return
        if not self._transport.is_closing():
            self._transport.write(reply.response)
            self._transport.close()
            self._behaviour.on_written(reply)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, action))
