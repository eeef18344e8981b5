"""Sends one HTTP/2 request and reads its answer, over one fresh connection (RFC 9113)."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import DenialOfServiceError, FrameTooLargeError, ProtocolError

from services.prober.http.http_connection import MAX_HEADERS, NO_STATUS, TOO_MANY_HEADERS, HttpConnection, WireRequest
from services.prober.http.tolerant_h2 import HEADER_LIMIT, WINDOW, TolerantH2, TooManyFramesError
from services.prober.observation import Cause, Phase
from services.prober.tls import Handshake

_STREAM_ID: Final = 1
_FRAME_HEADER_LENGTH: Final = 9
_SETTINGS_FRAME: Final = 4
_HEADERS_TOO_LARGE: Final = f"the headers are larger than {HEADER_LIMIT >> 10} KiB"


class Http2Connection(HttpConnection):
    """Sends one request, and reads one answer.

    Over TLS, the server must have negotiated HTTP/2 in the handshake. Over plain TCP, it is expected to speak HTTP/2.
    """

    __slots__ = ("_h2", "_opening", "_unacknowledged", "_unparsed_bytes", "_unsent", "_verified", "trailers")
    protocol = "HTTP/2"

    def __init__(self, done: asyncio.Future[None], request: WireRequest, handshake: Handshake | None = None) -> None:
        super().__init__(done, request, handshake)
        self.trailers: list[tuple[bytes, bytes]] = []
        self._verified = False
        self._opening = b""
        self._unparsed_bytes = 0
        self._unacknowledged = 0
        self._unsent = memoryview(b"")
        self._h2 = TolerantH2()

    def ready(self) -> None:
        """Send the request, as far as the server's initial window allows."""
        if self._handshake is not None and self.alpn != "h2":
            self.fail(Cause.PROTOCOL, "the server does not agree to speak HTTP/2")
            return
        payload = self._request.payload
        assert callable(payload)
        request = payload()
        self._unsent = memoryview(request.body)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW)
        self._h2.send_headers(_STREAM_ID, request.headers, end_stream=not request.body)
        self.sent = perf_counter()
        self._send()

    def received(self, data: bytes) -> None:
        """Process frames."""
        if not self._verified:
            data = self._opening = self._opening + data
            self._verify_opening()
            if not self._verified:
                return
        self._h2.events.clear()
        error = self._parse(data)
        for event in self._h2.events:
            self._process(event)
            if self.ended:
                return
        if error:
            self.fail(Cause.PROTOCOL, error)
            return
        if self._unacknowledged:
            self._h2.acknowledge_received_data(self._unacknowledged, _STREAM_ID)
            self._unacknowledged = 0
        self._send()

    def _parse(self, data: bytes) -> str:
        """Parse frames. Return what is wrong with them, empty when nothing is."""
        try:
            events = self._h2.receive_data(data)
        except DenialOfServiceError:
            return _HEADERS_TOO_LARGE
        except TooManyFramesError:
            return "the answer comes in too many frames for its body"
        except FrameTooLargeError:
            return "the answer comes in frames larger than allowed"
        except ProtocolError as error:
            return f"the answer breaks the rules of HTTP/2: {_error_name(error.error_code)}"
        self._unparsed_bytes = 0 if events else self._unparsed_bytes + len(data)
        if self._unparsed_bytes > HEADER_LIMIT:
            # Decoding more would hold up all other probes.
            return f"the headers or a frame are larger than {HEADER_LIMIT >> 10} KiB"
        return ""

    def peer_closed(self) -> None:
        """Fail. A server that expects TLS often closes the connection without an answer."""
        if self._handshake is None and not self._opening:
            self.fail(Cause.PROTOCOL, "the server closed the connection before any HTTP/2 frame: it may expect TLS")
        else:
            super().peer_closed()

    def _verify_opening(self) -> None:
        """Recognise an HTTP/2 server by its first frame, which is SETTINGS (RFC 9113, 3.4).

        The first bytes of another protocol read as the header of a huge frame, and h2 would wait for all of it.
        """
        opening = self._opening
        if opening.startswith(b"HTTP/1"):
            self.fail(Cause.PROTOCOL, "the server speaks HTTP/1.1, not HTTP/2")
        elif self._handshake is None and opening.startswith((b"\x15\x03", b"\x16\x03")):
            self.fail(Cause.PROTOCOL, "the server speaks TLS, and the request was sent without")
        elif len(opening) >= _FRAME_HEADER_LENGTH:
            if opening[3] == _SETTINGS_FRAME:
                self._verified = True
            else:
                self.fail(Cause.PROTOCOL, "the server does not speak HTTP/2")

    def _process(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self.on_body(event.data)
            self._unacknowledged += event.flow_controlled_length
        elif isinstance(event, ResponseReceived):
            self._start_answer(event.headers)
        elif isinstance(event, InformationalResponseReceived):
            self._count(event.headers)
            self.count_interim_answer()
        elif isinstance(event, TrailersReceived):
            self._count(event.headers)
            self.trailers = list(event.headers)
        elif isinstance(event, StreamEnded):
            self.complete()
        elif isinstance(event, StreamReset):
            cause = Cause.PROTOCOL if event.error_code == ErrorCodes.HTTP_1_1_REQUIRED else Cause.RESET
            self.fail(cause, f"the server reset the stream: {_error_name(event.error_code)}")
        elif isinstance(event, ConnectionTerminated) and (event.error_code or not event.last_stream_id):
            self.fail(Cause.CLOSED, f"the server ended the connection with GOAWAY: {_error_name(event.error_code)}")

    def _start_answer(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.first_byte = perf_counter()
        self.phase = Phase.TRANSFER
        status = next((value for name, value in headers if name == b":status"), b"")
        if not (status.isdigit() and len(status) == 3 and status >= b"100"):
            self.fail(Cause.PROTOCOL, NO_STATUS)
            return
        self.status = int(status)
        self.headers = [header for header in headers if not header[0].startswith(b":")]
        self._count(headers)
        if self._request.head:
            self.complete()

    def _count(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Bound the number of headers, and their total size including interim answers and trailers."""
        self._header_bytes += sum(len(name) + len(value) for name, value in headers)
        if self._header_bytes > HEADER_LIMIT:
            self.fail(Cause.PROTOCOL, _HEADERS_TOO_LARGE)
        elif len(headers) > MAX_HEADERS:
            self.fail(Cause.PROTOCOL, TOO_MANY_HEADERS)

    def _send(self) -> None:
        """Send what is due, and as much of the request's body as the server's windows allow."""
        while self._unsent:
            room = min(
                self._h2.local_flow_control_window(_STREAM_ID), self._h2.max_outbound_frame_size, len(self._unsent)
            )
            if room <= 0:
                break
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            self._h2.send_data(_STREAM_ID, bytes(part), end_stream=not self._unsent)
        due = self._h2.data_to_send()
        if due:
            self.write(due)


def _error_name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error code {code}"
