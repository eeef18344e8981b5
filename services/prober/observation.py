"""The observation of a probe: facts and timings, never a judgement (docs/probing.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from services.core.model import Phases, unfrozen


class Phase(Enum):
    """The part of a probe in which it failed."""

    PREPARE = auto()
    PROXY = auto()
    RESOLVE = auto()
    CONNECT = auto()
    TLS = auto()
    PROCESSING = auto()
    TRANSFER = auto()


class Cause(Enum):
    """The cause of a failure. What it means for the target is judged later."""

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
    REDIRECT_WITH_BODY = auto()
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
    TOO_COSTLY = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why, and in which phase, a probe ended before its answer was complete. ``detail`` holds no secrets."""

    phase: Phase
    cause: Cause
    detail: str = ""

    @property
    def timed_out(self) -> bool:
        """Whether the deadline ended the probe."""
        return self.cause is Cause.TIMEOUT or self.cause is Cause.LINE_TIMEOUT


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What the server's certificates state, known even when they do not verify. Times are in epoch seconds.

    ``names`` are the first ones, ``more_names`` is the number of the others, and a long ``subject`` is cut.
    ``earliest_expiry`` is that of all presented certificates. ``chain_expiry`` is that of the longest-lived chain that
    verifies, None when no chain verifies or verification is off.
    """

    subject: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    earliest_expiry: int
    chain_expiry: int | None = None
    more_names: int = 0


@dataclass(frozen=True, slots=True)
class RpcFacts:
    """How a gRPC call ended: the name of its status code and, for a health check, the status of the service."""

    code: str
    serving: str = ""
    health: bool = False


@dataclass(frozen=True, slots=True)
class DnsFacts:
    """The answer of a name server: the response code's name, and records as text, `name ttl class type data`.

    ``truncated`` is set when the answer had no room for all records, ``authoritative`` when the server vouches for its
    zone.
    """

    rcode: str
    answers: tuple[str, ...] = ()
    authority: tuple[str, ...] = ()
    additional: tuple[str, ...] = ()
    truncated: bool = False
    authoritative: bool = False


_NO_PHASES = Phases()


@unfrozen
class Observation:
    """The facts of one probe.

    * ``time`` is its start in epoch seconds, ``duration`` the seconds to its end.
    * ``latency`` is the seconds from sending the first request to the end of the last answer, None without a complete
      answer. For tcp and tls probes, it is from the start of connecting to the end of the dialogue or handshake.
    * ``status`` is that of HTTP, 0 until an answer begins and for other kinds.
    * ``headers`` have lower-case names, in order, repeated as received.
    * ``body`` is decoded if the request accepts a coding; the answer of a gRPC call is JSON. ``raw_length`` and
      ``body_length`` count its bytes before and after decoding.
    * ``redirects`` counts those followed. ``redirected`` means that a failure belongs to a later address than the
      target's own.
    * ``protocol`` is `HTTP/1.1`, `HTTP/2` and the like; ``tls_version`` is `TLSv1.3` and the like, empty without TLS.
    * ``steps`` are those that a journey took, in order.
    * ``awaited`` is how many seconds the probe waited for a token before ``time``. For a step that a journey's deadline
      ended, it includes those of earlier steps.
    * ``busy`` is how many seconds of processor time the prober's loop spent on what the server sent in bulk.
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
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One step of a journey, and what it saw."""

    name: str
    observation: Observation
