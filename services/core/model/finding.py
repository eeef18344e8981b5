"""Findings about exchanges: traffic that departs from what was expected, with its cause (docs/exchange.md §4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

MOST_FLOWS: Final = 20
"""The most flows that a finding lists: enough to see what its cause touches, and few enough to be read."""

_ID_DIGITS = 16


class FindingKind(StrEnum):
    """What departs from its expectation."""

    SILENCE = "silence"
    FALL = "fall"
    RISE = "rise"
    BUS_FAILURES = "bus_failures"
    PROVIDER_FAILURES = "provider_failures"
    SLOW = "slow"
    SIZE = "size"
    REPEATS = "repeats"


class FindingScope(StrEnum):
    """What the cause of a finding lies in: one flow, or all that a service, provider, consumer or bus carries."""

    FLOW = "flow"
    SERVICE = "service"
    PROVIDER = "provider"
    CONSUMER = "consumer"
    BUS = "bus"


class ProbeView(StrEnum):
    """What probes say of the same links meanwhile; NONE where there are no probes."""

    NONE = "none"
    PASS = "pass"  # noqa: S105  # a result, no secret
    FAIL = "fail"


class Review(StrEnum):
    """What people said of a finding: OPEN while nobody said anything."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class FindingReview:
    """What people said of a finding, by its id: ``state`` is CONFIRMED or DISMISSED, ``note`` says why."""

    finding: str
    state: Review
    note: str


def join_flow(bus: str, client: str, service: str) -> str:
    """Return what a flow is called in findings."""
    return f"{bus} {client} {service}"


def split_flow(flow: str) -> tuple[str, str, str]:
    """Return bus, client and service of a flow; codes of X-Road may have spaces in them, though hardly any have."""
    bus, _, rest = flow.partition(" ")
    client, _, service = rest.rpartition(" ")
    return bus, client, service


def finding_id(kind: FindingKind, scope: FindingScope, subject: str, since: int) -> str:
    """Return the id of a finding: 16 hexadecimal digits, the same from an archive as live."""
    return sha256(f"{kind}\n{scope}\n{subject}\n{since}".encode()).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Finding:
    """Traffic of one subject that is not as it should be, from ``since`` until ``ended_at``, None while that goes on.

    ``subject`` is the id of an agency or bus, "bus service" or "bus client service", by ``scope``. Times are epoch
    seconds: ``since`` is the start of the step in which the change began, ``found_at`` the end of the step in which the
    evidence sufficed; a step lasts ``step_seconds``. ``seen`` and ``expected``, with the range that it lies in, are exchanges
    over [``since``, the last step judged); shares for failures and repeats, milliseconds for SLOW, bytes for SIZE. ``chance`` is the
    probability of as much by luck. ``flows`` lists at most MOST_FLOWS of ``flow_count``, the largest first, each as "bus
    client service". With ``usual`` it ended because its counts became what is expected.
    """

    id: str
    kind: FindingKind
    scope: FindingScope
    subject: str
    since: int
    found_at: int
    ended_at: int | None
    step_seconds: int
    seen: float
    expected: float
    expected_low: float
    expected_high: float
    chance: float
    flows: tuple[str, ...] = ()
    flow_count: int = 0
    probes: ProbeView = ProbeView.NONE
    review: Review = Review.OPEN
    note: str = ""
    usual: bool = False
