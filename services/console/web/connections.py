"""Bounds connections to the console: the time and size of a request, and how long a reader may take nothing.

uvicorn alone waits for ever for the end of a request and for a reader, and keeps headers of any length. Anyone who
reaches the port may connect.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

REQUEST_SECONDS = 10.0
"""How long a request may take to arrive, from the connection or from its first byte on."""

READER_SECONDS = 30.0
"""How long a reader may take nothing of an answer that waits."""

MAX_REQUEST_BYTES: Final = 64 << 10
"""The most bytes of a request. Browsers send some 2 KiB, and a sign-in adds 1 KiB."""

TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
"""The answer to one that is larger."""


_WAITING: WeakKeyDictionary[ServerState, dict[BoundedProtocol, None]] = WeakKeyDictionary()
"""The connections of each server that wait for a request, those that have waited longest first."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection with these bounds.

    Where there are as many connections as uvicorn takes, the one that has waited longest for a request makes room for a
    new one.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting = _WAITING.setdefault(self.server_state, {})
        self._received = 0
        self._request_timeout: asyncio.TimerHandle | None = None
        self._read_timeout: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether the reader has to send something, and no answer is being made."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete or self.cycle.more_body)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Make room, and wait for a request."""
        if self.limit_concurrency is not None and len(self.connections) + 1 >= self.limit_concurrency:
            longest = next(iter(self._waiting), None)
            if longest is not None:
                longest.drop()
        super().connection_made(transport)
        self._waiting[self] = None
        self._start_request_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._cancel_request_timeout()
        self._cancel_read_timeout()
        self._waiting.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request, unless it is too large."""
        if self._request_timeout is None:
            self._start_request_timeout()
        self._received += len(data)
        super().data_received(data)
        if self._received > MAX_REQUEST_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(TOO_LARGE)
                self.transport.close()
            else:
                self.drop()

    def on_message_complete(self) -> None:
        """Expect no more of this request."""
        self._received = 0
        self._cancel_request_timeout()
        self._waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.waits and not self.transport.is_closing():
            self._waiting[self] = None

    def pause_writing(self) -> None:
        """Wait for the reader, but not for ever."""
        super().pause_writing()
        self._read_timeout = self.loop.call_later(READER_SECONDS, self.drop)

    def resume_writing(self) -> None:
        """Note that the reader has taken something."""
        self._cancel_read_timeout()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that is not used, also where the end of an answer was never read."""
        if self.transport.get_write_buffer_size():
            self.drop()
        else:
            super().timeout_keep_alive_handler()

    def _start_request_timeout(self) -> None:
        self._request_timeout = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """End the connection, unless it is we who read nothing because an answer is being made."""
        if self.waits:
            self.drop()
        else:
            self._start_request_timeout()

    def drop(self) -> None:
        """End the connection at once, and count it no more."""
        self.connections.discard(self)
        self._waiting.pop(self, None)
        self.transport.abort()

    def _cancel_request_timeout(self) -> None:
        if self._request_timeout is not None:
            self._request_timeout.cancel()
            self._request_timeout = None

    def _cancel_read_timeout(self) -> None:
        if self._read_timeout is not None:
            self._read_timeout.cancel()
            self._read_timeout = None
