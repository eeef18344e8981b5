"""One HTTP/1.1 request and its answer over one fresh connection."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Any, Final

import httptools

from services.prober.observation import Cause, Phase
from services.prober.tls import Handshake
from services.prober.transport import FreshConnection

__all__ = ["Http1Connection", "ends", "said_once"]

_END: Final = re.compile(rb"\n\r?\n")
_LENGTHS: Final = re.compile(rb"\ncontent-length[ \t]*:([0-9, \t]*)\r?(?=\n)", re.IGNORECASE)


def ends(heard: bytes) -> bool:
    """Whether the first head in these bytes of an HTTP/1.1 connection is there to its end."""
    return _END.search(heard) is not None


def said_once(heard: bytes) -> bytes | None:
    """Return the bytes with the length in their first head said once; None where it is not said several times alike."""
    end = _END.search(heard)
    if end is None:
        return None
    head, rest = heard[: end.start() + 1], heard[end.start() + 1 :]
    said = [length.strip() for line in _LENGTHS.findall(head) for length in line.split(b",")]
    if len(said) < 2 or len(set(said)) > 1 or not said[0].isdigit():
        return None
    status, _, others = _LENGTHS.sub(b"", head).partition(b"\n")
    return b"%b\nContent-Length: %b\r\n%b%b" % (status, said[0], others, rest)


_HEADER_LIMIT: Final = 256 * 1024


class Http1Connection(FreshConnection):
    """Sends ``wire`` once it can, reads one answer. ``raw_limit`` bounds the body as received, in bytes."""

    __slots__ = (
        "_head",
        "_header_bytes",
        "_heard",
        "_parser",
        "_until_close",
        "_wire",
        "body",
        "headers",
        "raw_length",
        "raw_limit",
        "status",
    )
    protocol: Final = "HTTP/1.1"

    def __init__(
        self,
        done: asyncio.Future[None],
        wire: bytes,
        *,
        raw_limit: int,
        head: bool = False,
        handshake: Handshake | None = None,
    ) -> None:
        super().__init__(done, handshake)
        self.raw_limit = raw_limit
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.raw_length = 0
        self.status = 0
        self._wire = wire
        self._head = head
        self._parser: Any = None
        self._header_bytes = 0
        self._until_close = False
        self._heard = bytearray()

    def ready(self) -> None:
        """Send the request."""
        self._parser = self._reading()
        self.sent = perf_counter()
        self.write(self._wire)

    def abandon(self) -> None:
        """Drop the parser too, which holds us: without it all that a probe leaves behind is freed at once."""
        super().abandon()
        self._parser = None
        self._heard.clear()

    def received(self, data: bytes) -> None:
        """Feed the parser."""
        if not self.first_byte:
            self.first_byte = perf_counter()
        # No more than may be needed: of interim answers there may be any number.
        if self.phase is Phase.PROCESSING and len(self._heard) <= _HEADER_LIMIT:
            self._heard += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete()
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError as error:
            if self.phase is not Phase.PROCESSING or "Content-Length" not in str(error) or not self._read_again():
                self.fail(Cause.PROTOCOL, f"the answer is not HTTP: {error}")

    def _reading(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        # What consumers' clients read as well: folded headers, lines without CR, chunks beside a length, spaces behind the
        # size of a chunk (RFC 9112, 5.2, 2.2 and 6.3). Whoever sends it is not broken.
        parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser

    def _read_again(self) -> bool:
        """Read from the start what says one length several times, once all of its head is there; False for any other."""
        heard = bytes(self._heard)
        if not ends(heard):
            # The parser has stopped, and does so again with whatever comes next.
            return len(heard) <= _HEADER_LIMIT
        once = said_once(heard)
        if once is None:
            return False
        self._heard.clear()
        self.headers.clear()
        self._header_bytes = 0
        self._parser = self._reading()
        self.received(once)
        return True

    def finished(self) -> None:
        """Take note that the peer has no more to say, which ends an answer without a length of its own."""
        if self._until_close and self.phase is Phase.TRANSFER:
            self.complete()
        else:
            super().finished()

    # What the parser calls.

    def on_status(self, _reason: bytes) -> None:
        """Begin an answer."""
        if self.ended:  # what follows a whole answer is none of it
            return
        self.status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        if self.ended:
            return
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _HEADER_LIMIT:
            self.fail(Cause.PROTOCOL, f"the headers are larger than {_HEADER_LIMIT >> 10} KiB")
        elif b"\0" in value:
            self.fail(Cause.PROTOCOL, "a header holds a zero byte")
        else:
            self.headers.append((name.rstrip(), value))

    def on_headers_complete(self) -> None:
        """Expect the body, if there is one."""
        if self.ended:
            return
        # Empty reason phrases skip on_status in the parser.
        self.status = status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self.phase = Phase.TRANSFER
        framing = {name.lower() for name, _ in self.headers} & {b"content-length", b"transfer-encoding"}
        self._until_close = not framing or (b"transfer-encoding" in framing and not self._chunked())
        if self._head:
            self.complete()

    def _chunked(self) -> bool:
        """Whether the body comes in chunks; one that is coded otherwise alone ends with the connection (RFC 9112, 6.3)."""
        return any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in self.headers)

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self.ended:
            return
        self.raw_length += len(data)
        if self.raw_length > self.raw_limit:
            self.fail(Cause.BODY_LIMIT, "the body is larger than its limit")
        else:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """End an answer: an interim one, or the one we wait for."""
        if self.ended:
            return
        if 100 <= self.status < 200 and self.status != 101:
            self.headers.clear()
            self.status = 0
            self.first_byte = 0.0
            return
        self.complete()
