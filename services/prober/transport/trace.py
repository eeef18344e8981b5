"""Records one probe while it runs: phases, connections and what they showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Any

from services.core.model import Phases
from services.prober.observation import Cause, CertificateFacts, Failure, Observation, Phase
from services.prober.transport.connection import FreshConnection


class ProbeFailedError(Exception):
    """A probe ended without a complete answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(slots=True)
class ProbeTrace:
    """The record of one probe so far. Phases add up over its connections, in seconds.

    * ``deadline`` is monotonic, ``began`` epoch seconds, ``start`` and ``first_sent`` perf_counter seconds.
    * ``ip`` is the definition's choice between IPv4 and IPv6.
    * ``connection`` is the latest one.
    * ``left_origin`` is set once a redirect has led away from the target's own origin.
    * ``busy`` is the processor time spent on what the server sent, in seconds.
    * ``awaited`` is the wait for a token before ``began``, in seconds.
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
    connection: FreshConnection | None = None
    certificate: CertificateFacts | None = None
    tls_version: str = ""
    redirects: int = 0
    left_origin: bool = False
    busy: float = 0.0
    awaited: float = 0.0

    def timeout(self) -> Failure:
        """Return the failure of a probe whose deadline passes now."""
        return Failure(self.phase, Cause.TIMEOUT, f"the deadline passed in phase {self.phase.name.lower()}")

    def record(self, start: float) -> None:
        """Add the times and facts of the latest connection, which began at ``start`` (perf_counter).

        The phase in which it ended counts up to now.
        """
        now = perf_counter()
        connection = self.connection
        if connection is None or not connection.connected:
            self.connect = (self.connect or 0.0) + now - start
            return
        end = connection.ended or now
        self.busy += connection.busy
        tls_started = connection.tls_started
        self.phase = connection.phase
        self.tls_version = connection.tls_version
        self.certificate = self.certificate or connection.certificate
        self.connect = (self.connect or 0.0) + connection.connected - start
        handshake = (connection.tls_finished or end) - tls_started if tls_started else 0.0

        def without_handshake(since: float, until: float) -> float:
            """Return the seconds between, without a handshake in the middle, which is a phase of its own."""
            return until - since - (handshake if since <= tls_started < until else 0.0)

        if tls_started:
            self.tls = (self.tls or 0.0) + handshake
        if connection.sent:
            self.first_sent = self.first_sent or connection.sent
            self.processing = (self.processing or 0.0) + without_handshake(
                connection.sent, connection.first_byte or end
            )
        if connection.first_byte:
            self.transfer = (self.transfer or 0.0) + without_handshake(connection.first_byte, end)

    def since_connecting(self) -> float:
        """Return the seconds from the start of connecting to the end of an exchange that was successful."""
        connection = self.connection
        assert connection is not None
        return (self.connect or 0.0) + connection.ended - connection.connected

    def observation(self, failure: Failure | None, latency: float | None, **answer: Any) -> Observation:
        """Return the observation of a probe that ends now. ``latency`` is in seconds.

        ``answer`` holds the fields that only some kinds have.
        """
        return Observation(
            time=self.began,
            duration=perf_counter() - self.start,
            phases=Phases(self.resolve, self.connect, self.tls, self.processing, self.transfer),
            latency=latency,
            failure=failure,
            certificate=self.certificate,
            redirects=self.redirects,
            redirected=self.redirects > 0,
            addresses=tuple(self.addresses),
            tls_version=self.tls_version,
            busy=self.busy,
            awaited=self.awaited,
            **answer,
        )
