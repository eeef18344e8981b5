"""Sends one HTTP/1.1 request and reads its answer, over one fresh connection."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Any, Final

import httptools

from services.prober.http.http_connection import MAX_HEADERS, NO_STATUS, TOO_MANY_HEADERS, HttpConnection, WireRequest
from services.prober.observation import Cause, Phase
from services.prober.tls import Handshake

_HEAD_END: Final = re.compile(rb"\n\r?\n")
# Bytes that headers may take, including those of interim answers and trailers.
_HEADER_LIMIT: Final = 256 * 1024
_HEADERS_TOO_LARGE: Final = f"the headers are larger than {_HEADER_LIMIT >> 10} KiB"
_CONTENT_LENGTHS: Final = re.compile(rb"\ncontent-length[ \t]*:([0-9, \t]*)\r?(?=\n)", re.IGNORECASE)


class Http1Connection(HttpConnection):
    """Sends the bytes of one request, and reads one answer."""

    __slots__ = ("_head_bytes", "_parser", "_until_close")
    protocol = "HTTP/1.1"

    def __init__(self, done: asyncio.Future[None], request: WireRequest, handshake: Handshake | None = None) -> None:
        super().__init__(done, request, handshake)
        self._parser: Any = None
        self._until_close = False
        self._head_bytes = bytearray()

    def ready(self) -> None:
        """Send the request."""
        self._parser = self._new_parser()
        self.sent = perf_counter()
        payload = self._request.payload
        assert isinstance(payload, bytes)
        self.write(payload)

    def release(self) -> None:
        """Drop the parser too: it refers back to this object."""
        super().release()
        self._parser = None
        self._head_bytes.clear()

    def received(self, data: bytes) -> None:
        """Pass the data to the parser."""
        if not self.first_byte:
            self.first_byte = perf_counter()
        # The head, with those of interim answers before it, is kept in case it must be parsed again.
        if self.phase is Phase.PROCESSING:
            self._head_bytes += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete()
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError as error:
            repeated = self.phase is Phase.PROCESSING and "Content-Length" in str(error)
            if not repeated or not self._parse_again():
                self.fail(Cause.PROTOCOL, f"the answer is not HTTP: {error}")
        if self.phase is Phase.PROCESSING and len(self._head_bytes) > _HEADER_LIMIT:
            self.fail(Cause.PROTOCOL, _HEADERS_TOO_LARGE)

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        # Consumers' clients also accept folded headers, lines without CR, chunks beside a length, and spaces after the
        # size of a chunk (RFC 9112, 5.2, 2.2 and 6.3). A server that sends them is not broken.
        parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser

    def _parse_again(self) -> bool:
        """Parse the head from the start, once it is complete, if it repeats one length. Return False for any other."""
        head = bytes(self._head_bytes)
        if _HEAD_END.search(head) is None:
            return True  # the parser has stopped, and will stop again at whatever comes next
        single = _with_one_length(head)
        if single is None:
            return False
        self._head_bytes.clear()
        self.headers.clear()
        self._header_bytes = 0
        self._parser = self._new_parser()
        self.received(single)
        return True

    def peer_closed(self) -> None:
        """Complete an answer without a length of its own. Fail any other."""
        if self._until_close and self.phase is Phase.TRANSFER:
            self.complete()
        else:
            super().peer_closed()

    # The parser calls these, and on_body.

    def on_status(self, _reason: bytes) -> None:
        """Start an answer."""
        if self.ended:  # bytes after a complete answer are not part of it
            return
        self.status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add one header."""
        if self.ended:
            return
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _HEADER_LIMIT:
            self.fail(Cause.PROTOCOL, _HEADERS_TOO_LARGE)
        elif len(self.headers) == MAX_HEADERS:
            self.fail(Cause.PROTOCOL, TOO_MANY_HEADERS)
        elif b"\0" in value:
            self.fail(Cause.PROTOCOL, "a header holds a zero byte")
        else:
            self.headers.append((name.rstrip(), value))

    def on_headers_complete(self) -> None:
        """Expect the body, if there is one."""
        if self.ended:
            return
        # The parser skips on_status when the reason phrase is empty.
        self.status = status = self._parser.get_status_code()
        if status < 100:
            self.fail(Cause.PROTOCOL, NO_STATUS)
            return
        if status < 200 and status != 101:
            return
        self.phase = Phase.TRANSFER
        self.first_byte = self.first_byte or perf_counter()  # it may come together with an interim answer
        framing = {name.lower() for name, _ in self.headers} & {b"content-length", b"transfer-encoding"}
        self._until_close = not framing or (b"transfer-encoding" in framing and not self._chunked())
        if self._request.head:
            self.complete()

    def _chunked(self) -> bool:
        """Return whether the body comes in chunks. With other codings only, the connection ends it (RFC 9112, 6.3)."""
        return any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in self.headers)

    def on_message_complete(self) -> None:
        """Complete the answer, or discard an interim one."""
        if self.ended:
            return
        if 100 <= self.status < 200 and self.status != 101:
            self.headers.clear()
            self.status = 0
            self.first_byte = 0.0
            self.count_interim_answer()
            return
        self.complete()


def _with_one_length(data: bytes) -> bytes | None:
    """Return the data with one Content-Length in its first head, if the head repeats the same one (RFC 9110, 8.6).

    Return None when the head does not repeat a length, or when the lengths differ.
    """
    end = _HEAD_END.search(data)
    if end is None:
        return None
    head, rest = data[: end.start() + 1], data[end.start() + 1 :]
    lengths = [length.strip() for line in _CONTENT_LENGTHS.findall(head) for length in line.split(b",")]
    if len(lengths) < 2 or len(set(lengths)) > 1 or not lengths[0].isdigit():
        return None
    status_line, _, headers = _CONTENT_LENGTHS.sub(b"", head).partition(b"\n")
    return b"%b\nContent-Length: %b\r\n%b%b" % (status_line, lengths[0], headers, rest)
