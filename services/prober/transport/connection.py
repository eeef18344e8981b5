"""Runs one fresh connection: connecting, TLS where requested, and the protocol on top, each timed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from time import perf_counter, thread_time
from typing import Final, cast

from services.prober.observation import Cause, CertificateFacts, Failure, Phase
from services.prober.tls import Handshake, handshake_failure, read_failure

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_READ_BYTES: Final = 64 * 1024
# The smallest frames of HTTP/2 that fit into this many bytes take some 10 ms to parse. Other protocols take less.
_STEP_BYTES: Final = 4 * 1024
# In each turn of the loop, one connection may be processed for this long: a megabyte of body takes about a turn.
_TURN_SECONDS: Final = 0.002

BYTE_LIMIT: Final = 1 << 20
"""Bytes that a server may send where no body is expected. Handshakes and dialogues take some kilobytes."""


class FreshConnection(asyncio.Protocol, ABC):
    """A connection for one exchange. It does the TLS handshake if it has one, then passes bytes to its subclass.

    Subclasses override ``ready``, ``received``, ``peer_closed``, and call ``write``, ``start_tls``, ``complete``, ``fail``.

    * ``done`` resolves when the exchange has ended, successfully or not. ``failure`` is None if it was successful.
    * Times are perf_counter seconds, 0 when not reached. ``ended`` is not 0 once the exchange has ended.
    * ``busy`` is how many seconds of processor time it took to process what the server sent in bulk.
    * The server may send ``byte_limit`` bytes.
    """

    __slots__ = (
        "_byte_limit",
        "_handshake",
        "_handshaking",
        "_lost",
        "_received_bytes",
        "_transport",
        "_waiting",
        "busy",
        "connected",
        "done",
        "ended",
        "failure",
        "first_byte",
        "phase",
        "sent",
        "tls_finished",
        "tls_started",
    )

    def __init__(
        self, done: asyncio.Future[None], handshake: Handshake | None = None, *, byte_limit: int = BYTE_LIMIT
    ) -> None:
        self.done = done
        self.failure: Failure | None = None
        self.busy = 0.0
        self.connected = self.tls_started = self.tls_finished = self.sent = self.first_byte = self.ended = 0.0
        self.phase = Phase.CONNECT
        self._handshake = handshake
        self._handshaking = handshake is not None
        self._transport: asyncio.Transport | None = None
        self._byte_limit = byte_limit
        self._received_bytes = 0
        self._waiting = memoryview(b"")
        self._lost: tuple[Exception | None] | None = None

    # Subclasses override these.

    @abstractmethod
    def ready(self) -> None:
        """Start the exchange. The connection is made, over TLS where requested."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Process bytes from the peer."""

    def peer_closed(self) -> None:
        """Process the end of the peer's data, which over TLS is its close_notify."""
        self.fail(Cause.CLOSED, "the connection was closed before the answer was complete")

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake or, without one, the exchange."""
        self._transport = cast("asyncio.Transport", transport)
        self.connected = perf_counter()
        try:
            if self._handshake is not None:
                self.phase = Phase.TLS
                self.tls_started = self.connected
                self._advance_handshake(self._handshake)
            else:
                self._begin()
        except Exception as error:  # noqa: BLE001 - an event loop swallows what its callbacks raise
            self._crash(error)

    def data_received(self, data: bytes) -> None:
        """Process bytes: a few at once, more in steps. Nothing else is read until all steps are done."""
        if len(data) <= _STEP_BYTES:
            self._feed(data)
        elif self._transport is not None:
            self._transport.pause_reading()
            self._waiting = memoryview(data)
            self._feed_waiting()

    def _feed_waiting(self) -> None:
        """Process waiting bytes for as long as a turn of the loop may last. Continue in the next turn, after others."""
        began, until = thread_time(), perf_counter() + _TURN_SECONDS
        while self._waiting and self._transport is not None:
            step, self._waiting = self._waiting[:_STEP_BYTES], self._waiting[_STEP_BYTES:]
            self._feed(bytes(step))
            if perf_counter() > until:
                break
        self.busy += thread_time() - began
        if self._transport is not None:
            self.done.get_loop().call_soon(self._feed_waiting if self._waiting else self._read_on)

    def _read_on(self) -> None:
        if self._lost is not None:
            self.connection_lost(*self._lost)
        elif self._transport is not None:
            self._transport.resume_reading()

    def _feed(self, data: bytes) -> None:
        """Pass bytes to the handshake or to the exchange."""
        if self.ended:
            return
        self._received_bytes += len(data)
        if self._received_bytes > self._byte_limit:
            self.fail(Cause.PROTOCOL, f"the server sent more than {self._byte_limit >> 10} KiB")
            return
        handshake = self._handshake
        try:
            if handshake is None:
                self.received(data)
                return
            handshake.incoming.write(data)
            if self._handshaking:
                self._advance_handshake(handshake)
            if not self._handshaking and not self.ended:
                self._decrypt(handshake)
        except Exception as error:  # noqa: BLE001 - an event loop swallows what its callbacks raise
            self._crash(error)

    def eof_received(self) -> bool:
        """Process the end of a plain connection's data."""
        if self._handshake is None and not self.ended:
            try:
                self.peer_closed()
            except Exception as error:  # noqa: BLE001 - an event loop swallows what its callbacks raise
                self._crash(error)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Fail an exchange that has not ended yet, once the bytes that came before are processed."""
        if self.ended:
            return
        if self._waiting:
            self._lost = (error,)
            return
        if self.phase is Phase.TLS:
            verb = "reset" if isinstance(error, ConnectionError) else "closed"
            self.fail(Cause.FAILED, f"the connection was {verb} during the TLS handshake")
        elif error is not None:
            self.fail(Cause.RESET, "the connection was reset")
        else:
            self.fail(Cause.CLOSED, "the connection was closed before the answer was complete")

    # Subclasses and callers use these.

    @property
    def tls_version(self) -> str:
        """The negotiated version of TLS, empty without TLS."""
        return (self._handshake.tls.version() or "") if self._handshake is not None and self.tls_finished else ""

    @property
    def certificate(self) -> CertificateFacts | None:
        """The facts of the server's certificates, None without TLS."""
        return self._handshake.certificate if self._handshake is not None else None

    @property
    def alpn(self) -> str:
        """The protocol negotiated in the handshake, empty without one."""
        selected = self._handshake.tls.selected_alpn_protocol() if self._handshake is not None else None
        return selected or ""

    def write(self, data: bytes) -> None:
        """Send, encrypted over TLS."""
        transport = self._transport
        if transport is None:
            return
        if self._handshake is None:
            transport.write(data)
        else:
            self._handshake.tls.write(data)
            transport.write(self._handshake.outgoing.read())

    def start_tls(self, handshake: Handshake) -> None:
        """Continue over TLS; ``ready`` is called again once the handshake is done."""
        self._handshake = handshake
        self._handshaking = True
        self.phase = Phase.TLS
        self.tls_started = perf_counter()
        self._advance_handshake(handshake)

    def complete(self, *, reset: bool = True) -> None:
        """End the exchange successfully. Without ``reset``, the last bytes written still arrive."""
        if self.ended:
            return
        self.ended = perf_counter()
        transport = self._transport
        if transport is not None and self._handshake is not None and self._handshake.outgoing.pending:
            # When nothing was written over TLS, the peer still waits for the end of our handshake.
            transport.write(self._handshake.outgoing.read())
        if transport is not None and reset and self._lost is None:
            # The answer is complete: a reset saves both sides TIME_WAIT and a connection-tracking entry.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._finish()

    def fail(self, cause: Cause, detail: str) -> None:
        """End the exchange with a failure in its current phase."""
        if self.ended:
            return
        self.ended = perf_counter()
        self.failure = Failure(self.phase, cause, detail)
        self._finish()

    def abort(self) -> None:
        """Drop the connection at once, whatever its state."""
        transport = self._transport
        if transport is not None:
            self._transport = None
            transport.abort()

    def release(self) -> None:
        """Drop the connection and everything that refers back to this object, so that the collector is not needed."""
        self.abort()

    def _begin(self) -> None:
        self.phase = Phase.PROCESSING
        self.ready()

    def _advance_handshake(self, handshake: Handshake) -> None:
        transport = self._transport
        assert transport is not None
        try:
            handshake.tls.do_handshake()
        except ssl.SSLWantReadError:
            transport.write(handshake.outgoing.read())
            return
        except ssl.SSLError as error:
            if handshake.outgoing.pending:
                transport.write(handshake.outgoing.read())
            self.fail(*handshake_failure(error, handshake))
            return
        self._handshaking = False
        self.tls_finished = perf_counter()
        failure = handshake.verify()
        if failure is not None:
            self.fail(failure.cause, failure.detail)
        else:
            self._begin()

    def _decrypt(self, handshake: Handshake) -> None:
        while not self.ended:
            try:
                data = handshake.tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                self.peer_closed()
                return
            except ssl.SSLError as error:
                self.fail(*read_failure(error, handshake))
                return
            if not data:
                self.peer_closed()
                return
            self.received(data)
        if handshake.outgoing.pending and self._transport is not None:
            self._transport.write(handshake.outgoing.read())

    def _crash(self, error: Exception) -> None:
        """Raise a bug of our own in the task that waits, because it must never look like the target's failure."""
        self.ended = self.ended or perf_counter()
        self.abort()
        if not self.done.done():
            self.done.set_exception(error)

    def _finish(self) -> None:
        self.abort()
        if not self.done.done():
            self.done.set_result(None)
