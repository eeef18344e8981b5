"""Splits the data of a connection into lines, for protocols that exchange lines."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from time import perf_counter
from typing import Final

from services.prober.observation import Cause, Phase
from services.prober.tls import Handshake
from services.prober.transport.connection import FreshConnection

_LINE_LIMIT: Final = 64 * 1024
# Dialogues have some dozens of lines.
_MAX_LINES: Final = 10_000


class LineConnection(FreshConnection):
    """Splits received bytes into lines for subclasses, which override ``ready`` and ``line``.

    Subclasses call ``send`` and ``switch_to_tls``. The phase is PROCESSING until an answer begins, then TRANSFER.
    """

    __slots__ = ("_buffer", "_lines")

    def __init__(self, done: asyncio.Future[None]) -> None:
        super().__init__(done)
        self._buffer = bytearray()
        self._lines = 0

    def partial(self, _buffer: bytearray) -> int | None:
        """Return how many buffered bytes ``matched`` is to process, 0 to continue with lines, None to wait for more."""
        return 0

    def matched(self) -> None:
        """Process the bytes that ``partial`` has found, which are no longer in the buffer."""

    @abstractmethod
    def line(self, line: bytes) -> None:
        """Process one line, without its LF or CRLF."""

    def send(self, data: bytes) -> None:
        """Send, and wait for an answer."""
        self.phase = Phase.PROCESSING
        self.write(data)

    def switch_to_tls(self, handshake: Handshake) -> None:
        """Continue over TLS. Fail if plain text is left over, because anyone on the way may have injected it."""
        if self._buffer or self._waiting:
            self.fail(Cause.PROTOCOL, "the server sent more plain text after it agreed to TLS")
        else:
            self.start_tls(handshake)

    def buffer(self, data: bytes) -> None:
        """Buffer received bytes."""
        self.first_byte = self.first_byte or perf_counter()
        self.phase = Phase.TRANSFER
        self._buffer += data

    def take(self, length: int) -> bytes:
        """Remove and return the first bytes of the buffer."""
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def received(self, data: bytes) -> None:
        """Pass on each complete line."""
        searched = len(self._buffer)
        self.buffer(data)
        while self._buffer and not self.ended and self.phase is not Phase.TLS:
            length = self.partial(self._buffer)
            if length is None:
                return
            if length:
                del self._buffer[:length]
                searched = 0
                self.matched()
                continue
            end = self._buffer.find(b"\n", searched)
            if (len(self._buffer) if end < 0 else end) > _LINE_LIMIT:
                self.fail(Cause.PROTOCOL, f"a line is longer than {_LINE_LIMIT >> 10} KiB")
            if end < 0 or self.ended:
                return
            searched = 0
            self._lines += 1
            if self._lines > _MAX_LINES:
                self.fail(Cause.PROTOCOL, f"the server sent more than {_MAX_LINES} lines")
                return
            self.line(self.take(end + 1)[:-1].removesuffix(b"\r"))

    def peer_closed(self) -> None:
        """Pass on the rest as a line, even without its line break."""
        if self._buffer:
            self.line(self.take(len(self._buffer)))
        if not self.ended and self.phase is not Phase.TLS:
            super().peer_closed()
