"""Findings about exchanges: traffic that departs from what was expected, with its cause (docs/exchange.md §4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

MOST_FLOWS: Final = 20
"""The most flows that a finding lists: enough to see what its cause touches, and few enough to read."""

_ID_DIGITS = 16


class FindingKind(StrEnum):
    """The quantity that departs from its expectation, and how."""

    SILENCE = "silence"
    FALL = "fall"
    RISE = "rise"
    BUS_FAILURES = "bus_failures"
    PROVIDER_FAILURES = "provider_failures"
    SLOW = "slow"
    SIZE = "size"
    REPEATS = "repeats"


class FindingScope(StrEnum):
    """Where the cause of a finding lies: in one flow, or in all flows of a service, provider, consumer or bus."""

    FLOW = "flow"
    SERVICE = "service"
    PROVIDER = "provider"
    CONSUMER = "consumer"
    BUS = "bus"


class ProbeView(StrEnum):
    """The result of probes of the same links at the same time; NONE where there are no probes."""

    NONE = "none"
    PASS = "pass"  # noqa: S105  # a result, no secret
    FAIL = "fail"


class Review(StrEnum):
    """The review of a finding by people; OPEN until somebody reviews it."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class FindingReview:
    """The review of a finding, by the finding's id: ``state`` is CONFIRMED or DISMISSED, ``note`` says why."""

    finding: str
    state: Review
    note: str


def join_flow(bus: str, client: str, service: str) -> str:
    """Return the name of a flow in findings."""
    return f"{bus} {client} {service}"


def split_flow(flow: str) -> tuple[str, str, str]:
    """Return bus, client and service of a flow; X-Road codes may contain spaces, though hardly any do."""
    bus, _, rest = flow.partition(" ")
    client, _, service = rest.rpartition(" ")
    return bus, client, service


def finding_id(kind: FindingKind, scope: FindingScope, subject: str, since: int) -> str:
    """Return the id of a finding: 16 hexadecimal digits, the same from an archive as live."""
    return sha256(f"{kind}\n{scope}\n{subject}\n{since}".encode()).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Finding:
    """An unusual change in the traffic of one subject, from ``since`` until ``ended_at`` (None while it continues).

    ``subject`` is the id of an agency or bus, "bus service" or "bus client service", by ``scope``.

    Times are epoch seconds. ``since`` is the start of the step in which the change began, ``found_at`` the end of the
    step in which the evidence sufficed. A step lasts ``step_seconds``.

    ``seen`` and ``expected``, which lies between ``expected_low`` and ``expected_high``, cover [``since``, the last
    step judged). They are numbers of exchanges, shares for failures and repeats, milliseconds for SLOW, and bytes for
    SIZE. ``chance`` is the probability of as large a difference by luck.

    ``flows`` lists at most MOST_FLOWS of ``flow_count`` flows, the largest first, each as "bus client service". With
    ``usual`` the finding ended because its counts became what is expected.
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
