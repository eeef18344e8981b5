"""One fresh connection: connecting, TLS where asked, what is said over it, each timed; whoever talks builds on it.

Times are perf_counter seconds, 0 when not reached. ``done`` resolves when the talk has ended, well or not; ``failure``
says what went wrong.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from time import perf_counter
from typing import Final, cast

from services.prober.observation import Cause, Failure, Phase
from services.prober.tls import Handshake, presented_chain, refused_certificate

__all__ = ["FreshConnection"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_READ: Final = 64 * 1024
# What OpenSSL says when the server shares none of the protocols we offer; not every Python has a reason for it.
_NO_PROTOCOL: Final = "no application protocol"
# What OpenSSL says of an answer that is no TLS at all.
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})


class FreshConnection(asyncio.Protocol, ABC):
    """A connection that shakes hands first where it has a ``handshake``, then hands its bytes to those who build on it.

    They override ``ready``, ``received`` and ``finished``, and call ``write``, ``secure``, ``complete`` and ``fail``.
    """

    __slots__ = (
        "_handshake",
        "_shaking",
        "_transport",
        "connected",
        "done",
        "ended",
        "failure",
        "first_byte",
        "phase",
        "secured",
        "sent",
        "shaking_since",
    )

    def __init__(self, done: asyncio.Future[None], handshake: Handshake | None = None) -> None:
        self.done = done
        self.failure: Failure | None = None
        self.connected = self.shaking_since = self.secured = self.sent = self.first_byte = self.ended = 0.0
        self.phase = Phase.CONNECT
        self._handshake = handshake
        self._shaking = handshake is not None
        self._transport: asyncio.Transport | None = None

    # What those who build on it say.

    @abstractmethod
    def ready(self) -> None:
        """Begin to talk: the connection is there, and secured where asked."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Take what the peer said."""

    def finished(self) -> None:
        """Take note that the peer has no more to say; over TLS only its close_notify says so."""
        self.fail(Cause.CLOSED, "the connection was closed before the answer was complete")

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, or the talk at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.connected = perf_counter()
        try:
            if self._handshake is not None:
                self.phase = Phase.TLS
                self.shaking_since = self.connected
                self._shake(self._handshake)
            else:
                self._begin()
        except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
            self._crash(error)

    def data_received(self, data: bytes) -> None:
        """Feed what arrived to the handshake or to the talk."""
        if self.ended:
            return
        handshake = self._handshake
        try:
            if handshake is None:
                self.received(data)
                return
            handshake.incoming.write(data)
            if self._shaking:
                self._shake(handshake)
            if not self._shaking and not self.ended:
                self._decrypt(handshake)
        except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
            self._crash(error)

    def eof_received(self) -> bool:
        """Take note that nothing more will arrive."""
        if self._handshake is None and not self.ended:
            try:
                self.finished()
            except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
                self._crash(error)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the connection is gone: fine after the talk, a failure before."""
        if self.ended:
            return
        if self.phase is Phase.TLS:
            what = "reset" if isinstance(error, ConnectionError) else "closed"
            self.fail(Cause.FAILED, f"the connection was {what} during the TLS handshake")
        elif error is not None:
            self.fail(Cause.RESET, "the connection was reset")
        else:
            self.fail(Cause.CLOSED, "the connection was closed before the answer was complete")

    # What those who build on it use.

    @property
    def tls_version(self) -> str:
        """The version of TLS spoken, empty without."""
        return (self._handshake.tls.version() or "") if self._handshake is not None and self.secured else ""

    @property
    def alpn(self) -> str:
        """The protocol agreed on in the handshake, empty without."""
        chosen = self._handshake.tls.selected_alpn_protocol() if self._handshake is not None else None
        return chosen or ""

    def write(self, data: bytes) -> None:
        """Send, encrypted where the connection is."""
        transport = self._transport
        if transport is None:
            return
        if self._handshake is None:
            transport.write(data)
        else:
            self._handshake.tls.write(data)
            transport.write(self._handshake.outgoing.read())

    def secure(self, handshake: Handshake) -> None:
        """Go on over TLS from here; ``ready`` is called again once it stands."""
        self._handshake = handshake
        self._shaking = True
        self.phase = Phase.TLS
        self.shaking_since = perf_counter()
        self._shake(handshake)

    def complete(self, *, reset: bool = True) -> None:
        """End the talk well. Without ``reset`` what was said last still arrives."""
        if self.ended:
            return
        self.ended = perf_counter()
        transport = self._transport
        if transport is not None and self._handshake is not None and self._handshake.outgoing.pending:
            # Where nothing was said over TLS, the peer still waits for the end of our handshake.
            transport.write(self._handshake.outgoing.read())
        if transport is not None and reset:
            # The answer is whole: a reset spares both sides a connection-tracking entry and TIME_WAIT.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._finish()

    def fail(self, cause: Cause, detail: str) -> None:
        """End the talk in the phase it is in."""
        if self.ended:
            return
        self.ended = perf_counter()
        self.failure = Failure(self.phase, cause, detail)
        self._finish()

    def abort(self) -> None:
        """Drop the connection without ceremony, whatever its state."""
        transport = self._transport
        if transport is not None:
            self._transport = None
            transport.abort()

    def abandon(self) -> None:
        """Drop the connection for good: nobody asks anything of it any more, and nothing arrives."""
        self.abort()

    # The rest is its own.

    def _begin(self) -> None:
        self.phase = Phase.PROCESSING
        self.ready()

    def _shake(self, handshake: Handshake) -> None:
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
            refused = refused_certificate(error)
            if refused is not None:
                # Whether the server is believed comes first, and what its certificates say is known either way.
                refusal = handshake.accept(chain) if (chain := presented_chain(handshake.tls)) else None
                self.fail(*((refusal.cause, refusal.detail) if refusal else refused))
            elif error.reason in _NOT_TLS:
                self.fail(Cause.TLS_NOT_SPOKEN, "what answered the TLS handshake does not speak TLS")
            elif _NO_PROTOCOL in str(error):
                self.fail(Cause.PROTOCOL, "the server does not agree to the protocol asked for")
            else:
                self.fail(Cause.FAILED, f"the TLS handshake failed: {_said(error)}")
            return
        self._shaking = False
        self.secured = perf_counter()
        refusal = handshake.accept(presented_chain(handshake.tls))
        if refusal is not None:
            self.fail(refusal.cause, refusal.detail)
        else:
            self._begin()

    def _decrypt(self, handshake: Handshake) -> None:
        while not self.ended:
            try:
                data = handshake.tls.read(_READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                self.finished()
                return
            except ssl.SSLError as error:
                self.fail(*(refused_certificate(error) or (Cause.PROTOCOL, f"TLS broke off: {_said(error)}")))
                return
            if not data:
                self.finished()
                return
            self.received(data)
        if handshake.outgoing.pending and self._transport is not None:
            self._transport.write(handshake.outgoing.read())

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


def _said(error: ssl.SSLError) -> str:
    return (error.reason or "unknown").lower().replace("_", " ")
