"""Probe kind `tls`: a handshake and the server's certificates, at once or by STARTTLS (docs/probing.md §2).

The latency is from the start of connecting to the end of the handshake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from services.core.model import Probe, Tls, fill_placeholders
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Observation
from services.prober.tls import STARTTLS_PROTOCOLS, Handshake, StartTlsError, StartTlsProtocol
from services.prober.transport import (
    FreshConnection,
    LineConnection,
    Outbound,
    ProbeTrace,
    ProxyRoute,
    handshake_factory,
    parse_host_port,
    run_connection,
    run_until_deadline,
)


@dataclass(frozen=True, slots=True)
class TlsTarget:
    """One target, ready to be probed. ``starttls`` is None if TLS starts at once."""

    outbound: Outbound = field(repr=False)
    host: str
    port: int
    tls: Tls
    starttls: StartTlsProtocol | None
    ip: str
    proxy: ProxyRoute | None = None


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> TlsTarget:
    """Build a target of a definition. Raises MissingSecretError and ValueError."""
    host, port = parse_host_port(fill_placeholders(target, params))
    starttls = STARTTLS_PROTOCOLS[definition.starttls] if definition.starttls else None
    proxy = ProxyRoute.of(definition.proxy, environment.secrets)
    return TlsTarget(environment.outbound, host, port, definition.tls, starttls, definition.ip, proxy)


async def probe(target: TlsTarget, deadline: float) -> Observation:
    """Do one handshake over a fresh connection. Always end by ``deadline`` (monotonic seconds)."""
    trace = ProbeTrace(deadline, ip=target.ip)
    failure = await run_until_deadline(trace, _connect(target, trace))
    return trace.observation(failure, None if failure else trace.since_connecting())


async def _connect(target: TlsTarget, trace: ProbeTrace) -> None:
    make_handshake = handshake_factory(target.tls, target.host, target.outbound)
    starttls = target.starttls

    def make(done: asyncio.Future[None]) -> FreshConnection:
        return _TlsConnection(done, make_handshake()) if starttls is None else _Switch(done, make_handshake, starttls)

    await run_connection(target.host, target.port, make, target.outbound, trace, proxy=target.proxy)


class _TlsConnection(FreshConnection):
    """A connection that ends with its handshake."""

    __slots__ = ()

    def ready(self) -> None:
        """End, since only the handshake is needed. A reset could overtake its last bytes."""
        self.complete(reset=False)

    def received(self, data: bytes) -> None:
        """Ignore bytes after the end."""


class _Switch(LineConnection):
    """A connection that switches to TLS by its protocol's dialogue."""

    __slots__ = ("_dialogue", "_make_handshake", "_protocol")

    def __init__(
        self, done: asyncio.Future[None], make_handshake: Callable[[], Handshake], protocol: StartTlsProtocol
    ) -> None:
        super().__init__(done)
        self._make_handshake = make_handshake
        self._protocol = protocol
        self._dialogue = protocol.dialogue()

    def ready(self) -> None:
        """Start the dialogue, or end once the handshake is done."""
        if self.tls_finished:
            self.complete(reset=False)
        else:
            self.sent = perf_counter()
            self._advance(lambda: next(self._dialogue))

    def received(self, data: bytes) -> None:
        """Process single bytes where the protocol has no lines."""
        if self._protocol.lines:
            super().received(data)
        else:
            self.buffer(data)
            self.line(self.take(1))

    def line(self, line: bytes) -> None:
        self._advance(lambda: self._dialogue.send(line))

    def _advance(self, step: Callable[[], bytes]) -> None:
        try:
            data = step()
        except StopIteration:
            self.switch_to_tls(self._make_handshake())
        except StartTlsError as error:
            self.fail(error.cause, str(error))
        else:
            if data:
                self.send(data)
