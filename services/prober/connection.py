"""One request and one answer over one fresh connection: a Protocol with its parser and, where asked, its TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from time import perf_counter
from typing import Final, cast

import httptools

from services.prober.handshake import Handshake, presented_chain
from services.prober.observation import Cause, Failure, Phase

__all__ = ["Connection"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_HEADER_LIMIT: Final = 256 * 1024
_READ: Final = 64 * 1024


class Connection(asyncio.Protocol):
    """Sends ``wire`` once connected, reads one answer, resolves ``done``; ``failure`` says what went wrong.

    Times are perf_counter seconds, 0 when not reached. ``raw_limit`` bounds the body as received.
    """

    __slots__ = (
        "_handshake",
        "_head",
        "_header_bytes",
        "_parser",
        "_shaking",
        "_transport",
        "_until_close",
        "_wire",
        "body",
        "connected",
        "done",
        "ended",
        "failure",
        "first_byte",
        "headers",
        "phase",
        "raw_length",
        "raw_limit",
        "secured",
        "sent",
        "status",
    )

    def __init__(
        self,
        done: asyncio.Future[None],
        wire: bytes,
        *,
        raw_limit: int,
        head: bool = False,
        handshake: Handshake | None = None,
    ) -> None:
        self.done = done
        self.raw_limit = raw_limit
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.raw_length = 0
        self.status = 0
        self.failure: Failure | None = None
        self.connected = self.secured = self.sent = self.first_byte = self.ended = 0.0
        self.phase = Phase.CONNECT
        self._wire = wire
        self._head = head
        self._handshake = handshake
        self._shaking = handshake is not None
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._header_bytes = 0
        self._until_close = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, or send the request at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.connected = perf_counter()
        try:
            if self._shaking:
                self.phase = Phase.TLS
                self._shake()
            else:
                self._send()
        except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
            self._crash(error)

    def data_received(self, data: bytes) -> None:
        """Feed what arrived to the handshake or the parser."""
        if self.ended:
            return
        handshake = self._handshake
        try:
            if handshake is None:
                self._feed(data)
                return
            handshake.incoming.write(data)
            if self._shaking:
                self._shake()
            if not self._shaking and not self.ended:
                self._decrypt(handshake)
        except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
            self._crash(error)

    def eof_received(self) -> bool:
        """Take note that the peer has no more to say; over TLS only its close_notify says so."""
        if self._handshake is None:
            self._finished_sending()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the connection is gone: fine after the answer, a failure before."""
        if self.ended:
            return
        if self.phase is Phase.TLS:
            what = "reset" if isinstance(error, ConnectionError) else "closed"
            self._fail(Cause.FAILED, f"the connection was {what} during the TLS handshake")
        elif error is not None:
            self._fail(Cause.RESET, "the connection was reset")
        else:
            self._fail(Cause.CLOSED, "the connection was closed before the answer was complete")

    # What the parser calls.

    def on_status(self, _reason: bytes) -> None:
        """Begin an answer."""
        self.status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _HEADER_LIMIT:
            self._fail(Cause.PROTOCOL, f"the headers are larger than {_HEADER_LIMIT >> 10} KiB")
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Expect the body, if there is one."""
        # Empty reason phrases skip on_status in the parser.
        self.status = status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self.phase = Phase.TRANSFER
        framing = {name.lower() for name, _ in self.headers} & {b"content-length", b"transfer-encoding"}
        self._until_close = not framing
        if self._head:
            self._complete()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self.ended:
            return
        self.raw_length += len(data)
        if self.raw_length > self.raw_limit:
            self._fail(Cause.BODY_LIMIT, "the body is larger than its limit")
        else:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """End an answer: an interim one, or the one we wait for."""
        if 100 <= self.status < 200 and self.status != 101:
            self.headers.clear()
            self.status = 0
            self.first_byte = 0.0
            return
        self._complete()

    # The rest is ours.

    @property
    def tls_version(self) -> str:
        """Return the version of TLS spoken, empty without."""
        return (self._handshake.tls.version() or "") if self._handshake is not None and self.secured else ""

    def abort(self) -> None:
        """Drop the connection without ceremony, whatever its state."""
        transport = self._transport
        if transport is not None:
            self._transport = None
            transport.abort()

    def _send(self) -> None:
        assert self._transport is not None
        self.phase = Phase.PROCESSING
        self.sent = perf_counter()
        if self._handshake is None:
            self._transport.write(self._wire)
        else:
            self._handshake.tls.write(self._wire)
            self._transport.write(self._handshake.outgoing.read())

    def _shake(self) -> None:
        handshake, transport = self._handshake, self._transport
        assert handshake is not None
        assert transport is not None
        try:
            handshake.tls.do_handshake()
        except ssl.SSLWantReadError:
            transport.write(handshake.outgoing.read())
            return
        except ssl.SSLError as error:
            if handshake.outgoing.pending:
                transport.write(handshake.outgoing.read())
            self._fail(
                Cause.FAILED, f"the TLS handshake failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
            )
            return
        self._shaking = False
        self.secured = perf_counter()
        refusal = handshake.accept(presented_chain(handshake.tls))
        if refusal is not None:
            self._fail(refusal.cause, refusal.detail)
        else:
            self._send()

    def _decrypt(self, handshake: Handshake) -> None:
        while not self.ended:
            try:
                data = handshake.tls.read(_READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                self._finished_sending()
                return
            except ssl.SSLError as error:
                self._fail(Cause.PROTOCOL, f"TLS broke off: {(error.reason or 'unknown').lower().replace('_', ' ')}")
                return
            if not data:
                self._finished_sending()
                return
            self._feed(data)
        if handshake.outgoing.pending and self._transport is not None:
            self._transport.write(handshake.outgoing.read())

    def _feed(self, data: bytes) -> None:
        if not self.first_byte:
            self.first_byte = perf_counter()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._complete()
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError as error:
            if not self.ended:
                self._fail(Cause.PROTOCOL, f"the answer is not HTTP: {error}")

    def _finished_sending(self) -> None:
        if self.ended:
            return
        if self._until_close and self.phase is Phase.TRANSFER:
            self._complete()
        else:
            self._fail(Cause.CLOSED, "the connection was closed before the answer was complete")

    def _complete(self) -> None:
        if self.ended:
            return
        self.ended = perf_counter()
        transport = self._transport
        if transport is not None:
            # The answer is whole: a reset spares both sides a connection-tracking entry and TIME_WAIT.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._finish()

    def _fail(self, cause: Cause, detail: str) -> None:
        if self.ended:
            return
        self.ended = perf_counter()
        self.failure = Failure(self.phase, cause, detail)
        self._finish()

    def _crash(self, error: Exception) -> None:
        """Hand our own fault to whoever waits: it must never read as the target's."""
        self.ended = self.ended or perf_counter()
        self.abort()
        if not self.done.done():
            self.done.set_exception(error)

    def _finish(self) -> None:
        self.abort()
        if not self.done.done():
            self.done.set_result(None)
