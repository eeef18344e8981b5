"""What a probe saw: facts and timings, never a judgement (docs/probing.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from services.core.model import Phases, unfrozen

__all__ = ["Cause", "CertificateFacts", "DnsFacts", "Failure", "Observation", "Phase", "RpcFacts", "StepFacts"]


class Phase(Enum):
    """The part of a probe in which something failed."""

    PREPARE = auto()
    RESOLVE = auto()
    CONNECT = auto()
    TLS = auto()
    PROCESSING = auto()
    TRANSFER = auto()


class Cause(Enum):
    """What failed, whatever that means for the target."""

    TIMEOUT = auto()
    FAILED = auto()
    REFUSED = auto()
    UNREACHABLE = auto()
    RESET = auto()
    CLOSED = auto()
    PROTOCOL = auto()
    CERTIFICATE_EXPIRED = auto()
    CERTIFICATE_NOT_YET_VALID = auto()
    CERTIFICATE_NAME_MISMATCH = auto()
    CERTIFICATE_UNTRUSTED = auto()
    TOO_MANY_REDIRECTS = auto()
    REDIRECT_DOWNGRADED = auto()
    REDIRECT_UNUSABLE = auto()
    BODY_LIMIT = auto()
    ENCODING = auto()
    CREDENTIAL = auto()
    EGRESS = auto()
    LOCAL_RESOURCES = auto()
    TLS_NOT_SPOKEN = auto()
    CERTIFICATE_REFUSED = auto()
    STARTTLS_REFUSED = auto()
    LINE = auto()
    LINE_TIMEOUT = auto()
    CAPTURE = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a probe before its answer was complete, and where. ``detail`` holds no secrets."""

    phase: Phase
    cause: Cause
    detail: str = ""

    @property
    def timed_out(self) -> bool:
        """Whether it was the deadline that stopped the probe."""
        return self.cause is Cause.TIMEOUT or self.cause is Cause.LINE_TIMEOUT


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What the server's certificates say, known even when they do not verify. Times in epoch seconds.

    ``earliest_expiry`` is over all certificates presented; ``chain_expiry`` is that of the longest-lived chain that
    verifies, None when none does or verification is off.
    """

    subject: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    earliest_expiry: int
    chain_expiry: int | None = None


@dataclass(frozen=True, slots=True)
class RpcFacts:
    """How a gRPC call ended: the name of its status code; whether it was a health check, and what that said."""

    code: str
    serving: str = ""
    health: bool = False


@dataclass(frozen=True, slots=True)
class DnsFacts:
    """What a name server answered: the response code's name, and records as text, `name ttl class type data`.

    ``truncated`` says that there are more than the answer had room for.
    """

    rcode: str
    answers: tuple[str, ...] = ()
    authority: tuple[str, ...] = ()
    truncated: bool = False


_NO_PHASES = Phases()


@unfrozen
class Observation:
    """The facts of one probe.

    ``time`` is its start in epoch seconds, ``duration`` seconds from there to its end, ``latency`` seconds from sending
    the first request to the end of the last answer (None without a complete answer); of tcp and tls probes, from the
    start of connecting to the end of what is asked for. ``status`` is that of HTTP, 0
    until an answer began and for other kinds. ``headers`` have lower-case names, in order, repeated as received.
    ``body`` is decoded when decoding was asked for; ``raw_length`` and ``body_length`` count it before and after; a
    gRPC answer stands there as JSON. ``redirects`` counts those followed, ``redirected`` says that the failure belongs
    to a later address than the target's own. ``protocol`` is what was spoken (`HTTP/1.1`, `HTTP/2`, …) and
    ``tls_version`` over what (`TLSv1.3`), empty without TLS. ``steps`` are those a journey made, in order.
    ``awaited`` is how many seconds the probe waited for a token before ``time``; of a step that a journey's deadline ended,
    for those of earlier steps too.
    """

    time: float
    duration: float
    phases: Phases = _NO_PHASES
    latency: float | None = None
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    raw_length: int = 0
    body_length: int = 0
    failure: Failure | None = None
    certificate: CertificateFacts | None = None
    redirects: int = 0
    redirected: bool = False
    addresses: tuple[str, ...] = ()
    protocol: str = ""
    tls_version: str = ""
    rpc: RpcFacts | None = None
    dns: DnsFacts | None = None
    steps: tuple[StepFacts, ...] = ()
    awaited: float = 0.0


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What one step of a journey saw."""

    name: str
    observation: Observation
