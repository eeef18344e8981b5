"""The running record of one probe, over all the connections it makes."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from time import perf_counter, time

from services.core.model import Phases
from services.prober.deadline import Deadline
from services.prober.observation import Cause, CertificateFacts, DnsFacts, Failure, Observation, Phase
from services.prober.transport.connection import FreshConnection

__all__ = ["ProbeFailedError", "ProbeTrace", "observed", "run_until_deadline", "since_connecting"]


async def run_until_deadline(trace: ProbeTrace, talk: Awaitable[object]) -> Failure | None:
    """Wait for a talk, until the trace's deadline at the latest. Return what stopped it, None when it ended well."""
    try:
        async with Deadline(trace.deadline):
            await talk
    except TimeoutError:
        return Failure(trace.phase, Cause.TIMEOUT, f"no end within the deadline, in phase {trace.phase.name.lower()}")
    except ProbeFailedError as stopped:
        return stopped.failure
    return None


def observed(
    trace: ProbeTrace,
    failure: Failure | None,
    latency: float | None,
    *,
    protocol: str = "",
    dns: DnsFacts | None = None,
) -> Observation:
    """Return what the trace holds, as the facts of a probe that ends now. ``latency`` in seconds."""
    return Observation(
        time=trace.began,
        duration=perf_counter() - trace.start,
        phases=trace.phases(),
        latency=latency,
        failure=failure,
        certificate=trace.certificate,
        addresses=tuple(trace.addresses),
        protocol=protocol,
        tls_version=trace.tls_version,
        dns=dns,
    )


def since_connecting(trace: ProbeTrace, stream: FreshConnection) -> float:
    """Return the seconds from the start of connecting to the end of the talk over a connection that ended well."""
    return (trace.connect or 0.0) + stream.ended - stream.connected


class ProbeFailedError(Exception):
    """A probe that ended without a whole answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(slots=True)
class ProbeTrace:
    """What has happened so far; phases add up over connections, in seconds.

    ``deadline`` is monotonic, ``began`` epoch seconds, ``start`` and ``first_sent`` perf_counter seconds; ``ip`` is the
    definition's choice between IPv4 and IPv6; ``strayed`` says that a redirect has led away from the target's own origin.
    """

    deadline: float
    ip: str = "prefer-ipv4"
    began: float = field(default_factory=time)
    start: float = field(default_factory=perf_counter)
    phase: Phase = Phase.PREPARE
    resolve: float | None = None
    connect: float | None = None
    tls: float | None = None
    processing: float | None = None
    transfer: float | None = None
    first_sent: float = 0.0
    addresses: list[str] = field(default_factory=list)
    certificate: CertificateFacts | None = None
    tls_version: str = ""
    redirects: int = 0
    strayed: bool = False

    def phases(self) -> Phases:
        """Return the phases so far."""
        return Phases(self.resolve, self.connect, self.tls, self.processing, self.transfer)

    def record(self, stream: FreshConnection | None, start: float) -> None:
        """Add the phases of one connection begun at ``start`` (perf_counter); the one it ended in counts up to now."""
        now = perf_counter()
        if stream is None or not stream.connected:
            self.connect = (self.connect or 0.0) + now - start
            return
        end = stream.ended or now
        self.phase = stream.phase
        self.tls_version = stream.tls_version
        self.connect = (self.connect or 0.0) + stream.connected - start
        shook = (stream.secured or end) - stream.shaking_since if stream.shaking_since else 0.0

        def apart(since: float, until: float) -> float:
            """Seconds between, without a handshake in the middle of the talk: that is a phase of its own."""
            return until - since - (shook if since <= stream.shaking_since < until else 0.0)

        if stream.shaking_since:
            self.tls = (self.tls or 0.0) + shook
        if stream.sent:
            self.first_sent = self.first_sent or stream.sent
            self.processing = (self.processing or 0.0) + apart(stream.sent, stream.first_byte or end)
        if stream.first_byte:
            self.transfer = (self.transfer or 0.0) + apart(stream.first_byte, end)
