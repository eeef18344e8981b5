"""Leads connections over an HTTP proxy, through the tunnel that it opens by CONNECT (RFC 9110, 9.3.6)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final, cast

from services.core.model import Proxy
from services.prober.observation import Cause, Phase
from services.prober.secrets import Secrets, basic_credentials
from services.prober.transport.addresses import parse_host_port
from services.prober.transport.connection import FreshConnection
from services.prober.transport.trace import ProbeFailedError, ProbeTrace

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_HEAD_END: Final = re.compile(rb"\n\r?\n")
# Proxies answer CONNECT with a few headers. When they refuse it, a page follows that is not read.
_HEAD_LIMIT: Final = 64 * 1024
_CREDENTIALS_MISSING: Final = 407
REFUSED_CREDENTIALS: Final = "the proxy does not accept our credentials"


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A proxy on the way to a target. ``authorization`` is its Proxy-Authorization value, empty without credentials."""

    host: str
    port: int
    authorization: str = field(repr=False, default="")

    @classmethod
    def of(cls, proxy: Proxy, secrets: Secrets) -> ProxyRoute | None:
        """Return the route over a definition's proxy, None when it has none. Raises MissingSecretError."""
        if not proxy.url:
            return None
        host, port = parse_host_port(proxy.url)
        authorization = basic_credentials(proxy.username, secrets.get(proxy.password)) if proxy.username else ""
        return cls(host, port, authorization)

    @property
    def header(self) -> bytes:
        """The header for the proxy itself, as it is sent, with its line end; empty without credentials."""
        return f"Proxy-Authorization: {self.authorization}\r\n".encode() if self.authorization else b""


@contextmanager
def at_proxy(trace: ProbeTrace) -> Iterator[None]:
    """Raise a failure in the body, in phase PROXY, as a failure of the proxy and not of the target."""
    try:
        yield
    except ProbeFailedError as failed:
        if trace.phase is not Phase.PROXY:
            raise
        detail = f"the proxy cannot be reached: {failed.failure.detail}"
        raise ProbeFailedError(replace(failed.failure, phase=Phase.PROXY, detail=detail)) from failed


class Tunnel(asyncio.Protocol):
    """Has the proxy connect to ``host`` and ``port``, then gives its transport to ``connection``, or fails that.

    ``answered`` holds when each proxy last answered, in monotonic seconds.
    """

    def __init__(
        self,
        route: ProxyRoute,
        host: str,
        port: int,
        connection: FreshConnection,
        answered: dict[tuple[str, int], float],
    ) -> None:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n".encode() + route.header + b"\r\n"
        self._connection = connection
        self._proxy = route.host, route.port
        self._answered = answered
        self._transport: asyncio.Transport | None = None
        self._requested = 0.0
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Request the tunnel."""
        self._transport = cast("asyncio.Transport", transport)
        self._requested = monotonic()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Wait for the end of the proxy's answer. Bytes after it are the target's."""
        self._head += data
        end = _HEAD_END.search(self._head)
        if end is None:
            if len(self._head) > _HEAD_LIMIT:
                self._fail(Phase.PROXY, Cause.FAILED, f"the proxy's answer is larger than {_HEAD_LIMIT >> 10} KiB")
            return
        status = _STATUS.match(self._head)
        if status is None:
            self._fail(Phase.PROXY, Cause.FAILED, "the proxy's answer is not HTTP/1.1")
            return
        self._answered[self._proxy] = monotonic()
        if status[1].startswith(b"2"):
            self._hand_over(bytes(self._head[end.end() :]))
        else:
            self._refuse(int(status[1]))

    def connection_lost(self, _error: Exception | None) -> None:
        """Fail the connection: the proxy went away without an answer."""
        self._fail(Phase.PROXY, Cause.FAILED, "the proxy closed the connection without an answer")

    def release(self, trace: ProbeTrace) -> None:
        """Drop the connection to the proxy, unless it has become the target's.

        If the proxy has answered nobody since, it may be the silent one. Otherwise the target is.
        """
        if self._transport is None:
            return
        self._transport.abort()
        if self._answered.get(self._proxy, 0.0) > self._requested:
            trace.phase = Phase.CONNECT

    def _hand_over(self, rest: bytes) -> None:
        transport, self._transport = self._transport, None
        assert transport is not None
        transport.set_protocol(self._connection)
        self._connection.connection_made(transport)
        if rest:
            self._connection.data_received(rest)

    def _refuse(self, status: int) -> None:
        if status == _CREDENTIALS_MISSING:
            self._fail(Phase.PROXY, Cause.CREDENTIAL, REFUSED_CREDENTIALS)
        elif status >= 500:
            # A gateway's statuses describe what is behind it (RFC 9110, 15.6). Proxies that cannot connect use any of
            # them.
            cause = Cause.TIMEOUT if status == 504 else Cause.UNREACHABLE
            self._fail(Phase.CONNECT, cause, f"the proxy could not connect to the target: status {status}")
        else:
            self._fail(Phase.PROXY, Cause.FAILED, f"the proxy refuses to connect to the target: status {status}")

    def _fail(self, phase: Phase, cause: Cause, detail: str) -> None:
        self._connection.phase = phase
        self._connection.fail(cause, detail)
        if self._transport is not None:
            self._transport.abort()
