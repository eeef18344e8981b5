"""Stages, outcomes and reasons: how one observation is judged (docs/design.md §3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class LabelledEnum(IntEnum):
    """Numbers of the protobuf contract, with a label for people and for metrics."""

    @property
    def label(self) -> str:
        """The name in lower case: a label of metrics, a field of messages, a word of the command line."""
        return self.name.lower()


class Stage(LabelledEnum):
    """The stage reached by an inquiry."""

    NOT_CONNECTED = 0
    NOT_ANSWERED = 1
    INVALID = 2
    LATE = 3
    STALE = 4
    OK = 5


STAGES = tuple(stage.label for stage in Stage)
"""Labels of all stages, in order: fields of LinkEvidence and of the evidence behind a link."""

LOSS_STAGES = STAGES[:-1]
"""Labels of the stages at which an inquiry is lost: fields of Losses."""


def largest_loss(losses: object) -> str:
    """Return the stage at which most is lost, by a value or a message Losses; the earliest of equal ones."""
    return max(LOSS_STAGES, key=lambda stage: float(getattr(losses, stage)))


class Outcome(LabelledEnum):
    """The judgement of one observation: UNKNOWN, or the stage reached (stage = outcome - 2)."""

    UNKNOWN = 1
    NOT_CONNECTED = 2
    NOT_ANSWERED = 3
    INVALID = 4
    LATE = 5
    STALE = 6
    OK = 7

    @property
    def stage(self) -> Stage | None:
        """The stage reached, or None when UNKNOWN."""
        return None if self is Outcome.UNKNOWN else Stage(self - 2)


class Reason(LabelledEnum):
    """The reason for an outcome. Numbers are those of peyvand.v1.Reason; OUTCOME_OF maps them to outcomes."""

    OK = 1
    NO_MEASUREMENT = 10
    PROBER_ERROR = 11
    OVERRUN = 12
    SHED = 13
    VANTAGE_BLIND = 14
    OWN_CREDENTIAL = 15
    EGRESS_DENIED = 16
    LOCAL_RESOURCES = 17
    RESOLVER_FAILED = 18
    PROXY_FAILED = 19
    ABSENT = 20
    RESOLVE_FAILED = 21
    RESOLVE_TIMEOUT = 22
    CONNECT_REFUSED = 23
    CONNECT_TIMEOUT = 24
    CONNECT_UNREACHABLE = 25
    TLS_FAILED = 26
    TLS_TIMEOUT = 27
    CERTIFICATE_EXPIRED = 28
    CERTIFICATE_NOT_YET_VALID = 29
    CERTIFICATE_NAME_MISMATCH = 30
    CERTIFICATE_UNTRUSTED = 31
    TLS_NOT_SPOKEN = 32
    STARTTLS_REFUSED = 33
    ANSWER_TIMEOUT = 40
    BODY_TIMEOUT = 41
    CONNECTION_RESET = 42
    CONNECTION_CLOSED = 43
    PROTOCOL_ERROR = 44
    SERVER_ERROR = 45
    AUTH_REFUSED = 46
    BUS_ERROR = 47
    NOT_SERVING = 48
    UNKNOWN_SERVICE = 49
    UNIMPLEMENTED = 50
    RPC_FAILED = 51
    SOAP_FAULT = 52
    NAME_SERVER_FAILED = 53
    STATUS = 60
    HEADER = 61
    BODY = 62
    JSON = 63
    TEST_RECORD = 64
    BODY_LIMIT = 65
    ENCODING = 66
    TOO_MANY_REDIRECTS = 67
    REDIRECT_REFUSED = 68
    AGE_UNREADABLE = 69
    CHECK_ERROR = 70
    XML = 71
    JSON_SCHEMA = 72
    RCODE = 73
    RECORDS = 74
    LINE = 75
    CAPTURE = 76
    NOT_SECURE = 77
    CERTIFICATE_EXPIRING = 78
    NOT_REFUSED = 79
    LATE = 80
    STALE = 90

    @property
    def outcome(self) -> Outcome:
        """The one outcome this reason belongs to."""
        return OUTCOME_OF[self]


_RANGES: Final = (
    (range(1, 2), Outcome.OK),
    (range(10, 20), Outcome.UNKNOWN),
    (range(20, 40), Outcome.NOT_CONNECTED),
    (range(40, 60), Outcome.NOT_ANSWERED),
    (range(60, 80), Outcome.INVALID),
    (range(80, 90), Outcome.LATE),
    (range(90, 100), Outcome.STALE),
)
"""The numbers of reasons by outcome, which may have several ranges. A reason outside all of them is a fault of the code."""

_OUTCOME_OF_NUMBER: Final = {number: outcome for numbers, outcome in _RANGES for number in numbers}

OUTCOME_OF: dict[Reason, Outcome] = {reason: _OUTCOME_OF_NUMBER[reason] for reason in Reason}

_UNANSWERED_STATUSES: Final = {
    401: Reason.AUTH_REFUSED,
    403: Reason.AUTH_REFUSED,
    408: Reason.SERVER_ERROR,
    429: Reason.SERVER_ERROR,
}


def reason_of_status(status: int) -> Reason | None:
    """Return the reason of an HTTP status with which nothing is answered, None for any other (ADR 46)."""
    return Reason.SERVER_ERROR if status >= 500 else _UNANSWERED_STATUSES.get(status)


UNMEASURED_REASONS: Final = (Reason.NO_MEASUREMENT, Reason.ABSENT)
"""Reasons of slots without a measurement; no measurement has one of them."""

OTHER_REASON: dict[Outcome, Reason] = {
    outcome: next(reason for reason in Reason if reason.outcome is outcome and reason not in UNMEASURED_REASONS)
    for outcome in Outcome
}
"""By outcome: the reason that stands for those that only a newer version knows."""

OTHER: Final = "other"
"""The label of a value of the contract that only a newer version can name."""

_OUTCOMES, _REASONS = frozenset(Outcome), frozenset(Reason)


def outcome_of(number: int) -> Outcome:
    """Return the outcome of a number in a message, UNKNOWN for one that only a newer version knows."""
    return Outcome(number) if number in _OUTCOMES else Outcome.UNKNOWN


def known_reason(number: int) -> Reason | None:
    """Return the reason of a number in a message, None for one that only a newer version knows."""
    return Reason(number) if number in _REASONS else None


def reason_label(number: int) -> str:
    """Return the label of the reason of a number in a message, ``OTHER`` for one that only a newer version knows."""
    reason = known_reason(number)
    return OTHER if reason is None else reason.label
