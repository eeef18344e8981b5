"""Probe kind `tls`: a handshake and what the certificates say, at once or by STARTTLS (docs/probing.md §2).

The latency is from the start of connecting to the end of the handshake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from services.core.model import Probe, Tls, fill_placeholders
from services.prober.environment import ProbeEnvironment
from services.prober.observation import Cause, Observation
from services.prober.tls import (
    STARTTLS_PROTOCOLS,
    Handshake,
    StartTlsProtocol,
    StartTlsRefusedError,
    StartTlsSyntaxError,
)
from services.prober.transport import (
    FreshConnection,
    LineConnection,
    Outbound,
    ProbeTrace,
    handshake_factory,
    observed,
    parse_host_port,
    run_connection,
    run_until_deadline,
    since_connecting,
)

__all__ = ["TlsTarget", "prepare", "probe"]


@dataclass(frozen=True, slots=True)
class TlsTarget:
    """One target, ready to be asked; ``way`` None where TLS begins at once."""

    outbound: Outbound = field(repr=False)
    host: str
    port: int
    tls: Tls
    way: StartTlsProtocol | None
    ip: str


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> TlsTarget:
    """Build a target of a definition. Raises ValueError."""
    host, port = parse_host_port(fill_placeholders(target, params))
    way = STARTTLS_PROTOCOLS[definition.starttls] if definition.starttls else None
    return TlsTarget(environment.outbound, host, port, definition.tls, way, definition.ip)


async def probe(target: TlsTarget, deadline: float) -> Observation:
    """Shake hands once over a fresh connection; end by ``deadline`` (monotonic seconds), always."""
    trace = ProbeTrace(deadline, ip=target.ip)
    streams: list[FreshConnection] = []
    failure = await run_until_deadline(trace, _ask(target, trace, streams))
    return observed(trace, failure, None if failure else since_connecting(trace, streams[-1]))


async def _ask(target: TlsTarget, trace: ProbeTrace, streams: list[FreshConnection]) -> None:
    shake = handshake_factory(target.tls, target.host, target.outbound, trace)
    way = target.way

    def make(done: asyncio.Future[None]) -> FreshConnection:
        streams.append(_Secured(done, shake()) if way is None else _Switching(done, shake, way))
        return streams[-1]

    await run_connection(target.host, target.port, make, target.outbound, trace)


class _Secured(FreshConnection):
    """A connection that is there for its handshake."""

    __slots__ = ()

    def ready(self) -> None:
        """End: the handshake is all that is wanted. A reset could overtake our part of it."""
        self.complete(reset=False)

    def received(self, data: bytes) -> None:
        """Take no notice: what the server says comes after the end."""


class _Switching(LineConnection):
    """A connection that goes over to TLS in its protocol's way."""

    __slots__ = ("_handshakes", "_talk", "_way")

    def __init__(self, done: asyncio.Future[None], shake: Callable[[], Handshake], way: StartTlsProtocol) -> None:
        super().__init__(done)
        self._handshakes = shake
        self._way = way
        self._talk = way.talk()

    def ready(self) -> None:
        """Begin, or end once the handshake is done."""
        if self.secured:
            self.complete(reset=False)
        else:
            self.sent = perf_counter()
            self._go_on(lambda: next(self._talk))

    def received(self, data: bytes) -> None:
        """Take single bytes where the protocol has no lines."""
        if self._way.lines:
            super().received(data)
        elif self.hear(data):
            self.line(self.take(1))

    def line(self, line: bytes) -> None:
        """Take one answer."""
        self._go_on(lambda: self._talk.send(line))

    def _go_on(self, step: Callable[[], bytes]) -> None:
        try:
            said = step()
        except StopIteration:
            self.switch(self._handshakes())
        except StartTlsRefusedError as error:
            self.fail(Cause.STARTTLS_REFUSED, str(error))
        except StartTlsSyntaxError as error:
            self.fail(Cause.PROTOCOL, str(error))
        else:
            if said:
                self.say(said)
