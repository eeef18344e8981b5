"""One HTTP/2 request and its answer over one fresh connection (RFC 9113)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
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
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from services.prober.observation import Cause, Phase
from services.prober.tls import Handshake
from services.prober.transport import FreshConnection

__all__ = ["Http2Connection", "Http2Request"]

_HEADER_LIMIT: Final = 256 * 1024
_HEADERS_TOO_LARGE: Final = f"the headers are larger than {_HEADER_LIMIT >> 10} KiB"
# Bodies up to here arrive without waiting for our consent.
_WINDOW: Final = 1 << 20
_STREAM: Final = 1
_FRAME_HEADER: Final = 9
_SETTINGS: Final = 4
_CONFIGURATION: Final = H2Configuration(client_side=True, header_encoding=None)


@dataclass(frozen=True, slots=True)
class Http2Request:
    """One request: its headers, in order, pseudo-headers first, names in lower case; and its body."""

    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False, default=b"")


class _Patient(H2Connection):
    """A connection that hears out its peer: what came before a broken frame counts, and who says goodbye still answers
    what it has taken (RFC 9113, 6.8). ``heard`` holds the events since it was emptied.
    """

    def __init__(self, configuration: H2Configuration) -> None:
        super().__init__(configuration)
        self.heard: list[Event] = []

    def _receive_frame(self, frame: Frame) -> list[Event]:
        events = super()._receive_frame(frame)
        self.heard += events
        return events

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        state = self.state_machine.state
        frames, events = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return frames, events


class Http2Connection(FreshConnection):
    """Sends the request that ``ask`` returns once it can, reads one answer. ``raw_limit`` bounds the body as received,
    in bytes. Over TLS the server must have agreed to HTTP/2 in the handshake; over plain TCP it is expected to know.
    """

    __slots__ = (
        "_ask",
        "_h2",
        "_head",
        "_header_bytes",
        "_opened",
        "_opening",
        "_quiet",
        "_unconfirmed",
        "_unsent",
        "body",
        "headers",
        "raw_length",
        "raw_limit",
        "status",
        "trailers",
    )
    protocol: Final = "HTTP/2"

    def __init__(
        self,
        done: asyncio.Future[None],
        ask: Callable[[], Http2Request],
        *,
        raw_limit: int,
        head: bool = False,
        handshake: Handshake | None = None,
    ) -> None:
        super().__init__(done, handshake)
        self.raw_limit = raw_limit
        self.headers: list[tuple[bytes, bytes]] = []
        self.trailers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.raw_length = 0
        self.status = 0
        self._ask = ask
        self._head = head
        self._opened = False
        self._opening = b""
        self._header_bytes = 0
        self._quiet = 0
        self._unconfirmed = 0
        self._unsent = memoryview(b"")
        self._h2 = _Patient(_CONFIGURATION)
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: _HEADER_LIMIT,
            },
        )
        self._h2.decoder.max_header_list_size = _HEADER_LIMIT

    def ready(self) -> None:
        """Send the request, as far as the server may be sent without asking."""
        if self._handshake is not None and self.alpn != "h2":
            self.fail(Cause.PROTOCOL, "the server does not agree to speak HTTP/2")
            return
        request = self._ask()
        self._unsent = memoryview(request.body)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._h2.send_headers(_STREAM, request.headers, end_stream=not request.body)
        self.sent = perf_counter()
        self._send()

    def received(self, data: bytes) -> None:
        """Take frames."""
        if not self._opened:
            data = self._opening = self._opening + data
            self._open()
            if not self._opened:
                return
        self._h2.heard.clear()
        broken = self._hear(data)
        for event in self._h2.heard:
            self._take(event)
            if self.ended:
                return
        if broken:
            self.fail(Cause.PROTOCOL, broken)
            return
        if self._unconfirmed:
            self._h2.acknowledge_received_data(self._unconfirmed, _STREAM)
            self._unconfirmed = 0
        self._send()

    def _hear(self, data: bytes) -> str:
        """Read frames; say what is wrong with them, if anything."""
        try:
            events = self._h2.receive_data(data)
        except DenialOfServiceError:
            return _HEADERS_TOO_LARGE
        except FrameTooLargeError:
            return "the answer comes in frames larger than allowed"
        except ProtocolError as error:
            return f"the answer breaks the rules of HTTP/2: {_named(error.error_code)}"
        self._quiet = 0 if events else self._quiet + len(data)
        if self._quiet > _HEADER_LIMIT:
            # Unpacking more would hold up everybody else.
            return f"the headers or a frame are larger than {_HEADER_LIMIT >> 10} KiB"
        return ""

    def finished(self) -> None:
        """Take note that the peer has no more to say; a server that wants TLS often leaves without a word."""
        if self._handshake is None and not self._opening:
            self.fail(Cause.PROTOCOL, "the server left without a word of HTTP/2: it may want TLS")
        else:
            super().finished()

    def _open(self) -> None:
        """Recognise a server by its first word, which is SETTINGS in HTTP/2 (RFC 9113, 3.4): h2 would wait for all of
        the huge frame that another protocol's first word amounts to.
        """
        said = self._opening
        if said.startswith(b"HTTP/1"):
            self.fail(Cause.PROTOCOL, "the server speaks HTTP/1.1, not HTTP/2")
        elif self._handshake is None and said.startswith((b"\x15\x03", b"\x16\x03")):
            self.fail(Cause.PROTOCOL, "the server speaks TLS, and was spoken to without")
        elif len(said) >= _FRAME_HEADER:
            if said[3] == _SETTINGS:
                self._opened = True
            else:
                self.fail(Cause.PROTOCOL, "the server does not speak HTTP/2")

    def _take(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._take_data(event.data, event.flow_controlled_length)
        elif isinstance(event, ResponseReceived):
            self._begin_answer(event.headers)
        elif isinstance(event, InformationalResponseReceived):
            self._count(event.headers)
        elif isinstance(event, TrailersReceived):
            self._count(event.headers)
            self.trailers = list(event.headers)
        elif isinstance(event, StreamEnded):
            self.complete()
        elif isinstance(event, StreamReset):
            cause = Cause.PROTOCOL if event.error_code == ErrorCodes.HTTP_1_1_REQUIRED else Cause.RESET
            self.fail(cause, f"the server reset the stream: {_named(event.error_code)}")
        elif isinstance(event, ConnectionTerminated) and (event.error_code or not event.last_stream_id):
            self.fail(Cause.CLOSED, f"the server said goodbye in the middle: {_named(event.error_code)}")

    def _begin_answer(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.first_byte = perf_counter()
        self.phase = Phase.TRANSFER
        status = next((value for name, value in headers if name == b":status"), b"")
        if not (status.isdigit() and len(status) == 3):
            self.fail(Cause.PROTOCOL, "the answer has no status")
            return
        self.status = int(status)
        self.headers = [header for header in headers if not header[0].startswith(b":")]
        self._count(headers)
        if self._head:
            self.complete()

    def _count(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Bound what headers may add up to, over interim answers and trailers too."""
        self._header_bytes += sum(len(name) + len(value) for name, value in headers)
        if self._header_bytes > _HEADER_LIMIT:
            self.fail(Cause.PROTOCOL, _HEADERS_TOO_LARGE)

    def _take_data(self, data: bytes, length: int) -> None:
        self.raw_length += len(data)
        if self.raw_length > self.raw_limit:
            self.fail(Cause.BODY_LIMIT, "the body is larger than its limit")
            return
        self.body.append(data)
        self._unconfirmed += length

    def _send(self) -> None:
        """Send what is due, and as much of the request's body as the server's windows take."""
        while self._unsent:
            room = min(self._h2.local_flow_control_window(_STREAM), self._h2.max_outbound_frame_size, len(self._unsent))
            if room <= 0:
                break
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            self._h2.send_data(_STREAM, bytes(part), end_stream=not self._unsent)
        due = self._h2.data_to_send()
        if due:
            self.write(due)


def _named(code: ErrorCodes | int | None) -> str:
    """Name an error code of HTTP/2."""
    return code.name if isinstance(code, ErrorCodes) else f"error code {code}"
