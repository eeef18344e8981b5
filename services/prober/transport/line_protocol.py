"""A connection over which lines are said."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from time import perf_counter
from typing import Final

from services.prober.observation import Cause, Phase
from services.prober.tls import Handshake
from services.prober.transport.connection import FreshConnection

__all__ = ["LINE_LIMIT", "LineConnection"]

LINE_LIMIT: Final = 64 * 1024
"""What is longer than this many bytes is no line."""

_ALL_LIMIT: Final = 1 << 20


class LineConnection(FreshConnection):
    """Cuts what arrives into lines for those who build on it: they override ``ready`` and ``line``.

    They call ``say`` and ``switch``. The phase is TRANSFER while an answer is under way, PROCESSING while one is awaited.
    """

    __slots__ = ("_heard", "_pending")

    def __init__(self, done: asyncio.Future[None], handshake: Handshake | None = None) -> None:
        super().__init__(done, handshake)
        self._pending = bytearray()
        self._heard = 0

    @abstractmethod
    def line(self, line: bytes) -> None:
        """Take one line, without its LF or CRLF."""

    def say(self, data: bytes) -> None:
        """Send, and await an answer."""
        self.phase = Phase.PROCESSING
        self.write(data)

    def switch(self, handshake: Handshake) -> None:
        """Go on over TLS. What the peer has already said beyond the line that agreed to it was said by who knows whom."""
        if self._pending:
            self.fail(Cause.PROTOCOL, "the server went on in plain text after it agreed to TLS")
        else:
            self.secure(handshake)

    def hear(self, data: bytes) -> bool:
        """Keep what arrived, and say whether there may be more."""
        self.first_byte = self.first_byte or perf_counter()
        self.phase = Phase.TRANSFER
        self._heard += len(data)
        self._pending += data
        if self._heard > _ALL_LIMIT:
            self.fail(Cause.PROTOCOL, f"the server said more than {_ALL_LIMIT >> 20} MiB")
        return not self.ended

    def take(self, length: int) -> bytes:
        """Remove and return the first bytes kept."""
        taken = bytes(self._pending[:length])
        del self._pending[:length]
        return taken

    def received(self, data: bytes) -> None:
        """Hand on each line that is whole."""
        searched = len(self._pending)
        if not self.hear(data):
            return
        while not self.ended and self.phase is not Phase.TLS:
            end = self._pending.find(b"\n", searched)
            if (len(self._pending) if end < 0 else end) > LINE_LIMIT:
                self.fail(Cause.PROTOCOL, f"a line is longer than {LINE_LIMIT >> 10} KiB")
            if end < 0 or self.ended:
                return
            searched = 0
            self.line(self.take(end + 1)[:-1].removesuffix(b"\r"))

    def finished(self) -> None:
        """Take what the peer said last for a line, even without its line break."""
        if self._pending:
            self.line(self.take(len(self._pending)))
        if not self.ended and self.phase is not Phase.TLS:
            super().finished()
