"""Exchanges over a data bus as values: parties, summaries per slot, and comparison with probes (docs/exchange.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

_GENERIC_PARTS = 3
"""Provider, service and data item. An X-Road service has one part more than its provider, which has three or four."""


def escape_code(code: str) -> str:
    """Write a slash inside a code as %2F (and % as %25), so that different parties have different identifiers."""
    return code.replace("%", "%25").replace("/", "%2F")


def member_of(identifier: str) -> str:
    """Return the member, ``INSTANCE/CLASS/CODE``, of an X-Road identifier."""
    return "/".join(identifier.split("/")[:3])


@dataclass(frozen=True, slots=True)
class Parties:
    """The parties of an exchange: X-Road identifiers as logged, with slashes ("" when a call failed before it named them).

    ``client`` and ``provider`` are ``INSTANCE/CLASS/CODE[/SUBSYSTEM]``, ``service`` is ``provider/serviceCode``; on a bus that
    is not X-Road they are agencies, and ``service`` is ``provider/service/data_item``. ``meta`` marks services of the bus
    itself: known by name, or addressed to a member without a subsystem.
    """

    client: str
    provider: str
    service: str
    meta: bool

    @classmethod
    def of(cls, client: str, service: str, *, meta: bool) -> Self:
        """Return the parties of a call, with the provider read from the service."""
        parts = service.split("/")
        provider = parts[0] if len(parts) == _GENERIC_PARTS else "/".join(parts[:-1])
        return cls(client, provider, service, meta)


DURATION_BUCKETS = 40
"""Buckets of exchange durations, bounded by 2^(i/2) milliseconds, i = 0 … 38; the last one, from 9 minutes on, is open."""


@dataclass(frozen=True, slots=True)
class ExchangeSummary:
    """Exchanges between one X-Road client and one X-Road service in one slot.

    It replaces earlier summaries of the same (bus, client, service, slot): the highest revision wins. ``alias`` is an agency
    that stands in for the provider. ``consumer`` and ``provider`` (agency ids or ``_unmapped``), ``link`` (empty unless
    exactly one link maps) and ``shared`` are empty until a register attributes the summary (register/attribution.py).
    ``repeats`` are exchanges with the message id of another one, None where the collector did not count them.
    """

    client: str
    service: str
    slot_start: int
    revision: int
    meta: bool = False
    alias: str = ""
    consumer: str = ""
    provider: str = ""
    link: str = ""
    shared: bool = False
    count: int = 0
    ok: int = 0
    bus_failures: int = 0
    provider_failures: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    orphans: int = 0
    skew_ms_sum: float = 0.0
    skew_count: int = 0
    duration_buckets: tuple[int, ...] = (0,) * DURATION_BUCKETS
    duration_ms_sum: float = 0.0
    repeats: int | None = None


LINK_FINDINGS = ("silent", "disagreeing", "unusual")
"""Findings about a link: words of peyvand.v1.LinkFinding, of the metric and of the command line."""


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """One X-Road client calling one X-Road service over one bus, as the register in force maps it.

    ``consumer`` and ``provider`` are agencies or ``_unmapped``; ``link`` is empty unless exactly one maps; ``shared``
    where several do.
    """

    bus: str
    consumer: str
    provider: str
    client: str
    service: str
    link: str = ""
    shared: bool = False
    meta: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a difference of shares, with the bounds of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Volume:
    """Exchanges of the last six whole hours, ``recent``, compared with the ``expected`` number.

    ``expected`` is None before three weeks of history. It is ``unusual`` while a finding of silence, fall or rise goes on that
    touches the link. ``trend`` is the change per week as a share of the volume, None before two weeks.
    """

    recent: int
    expected: float | None
    trend: float | None
    unusual: bool = False


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One link over one window. With ``shared``, exchanges are those of all links on the same X-Road service.

    ``compared`` exchanges lie in hours in which the link was probed. ``logs`` and ``probes`` are the shares of them that
    were answered, according to logs and to the probes of the same hour; ``difference`` is logs minus probes. The three are
    None with too little data. A link is ``silent`` if it was live all the time and had no exchange for longer than chance
    explains. ``ok`` of all exchanges were answered, according to logs. In epoch seconds, ``as_of`` is the end of the window
    and ``last_hour`` the start of the hour of the last exchange in the longest window, None without an exchange.
    """

    link: str
    window_days: int
    exchanges: int
    shared: bool
    silent: bool
    compared: int = 0
    logs: Estimate | None = None
    probes: Estimate | None = None
    difference: Estimate | None = None
    disagrees: bool = False
    volume: Volume | None = None
    ok: int = 0
    as_of: int = 0
    last_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Undeclared:
    """Exchanges between a pair of agencies without a link in the register, or with a party that it does not know."""

    consumer: str
    provider: str
    exchanges: int
    ok: int


@dataclass(frozen=True, slots=True)
class BusTraffic:
    """Exchanges over one bus, without meta services."""

    bus: str
    exchanges: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """All exchanges of one window, without meta services.

    ``buses`` are ordered by volume. ``undeclared`` are the pairs with the most exchanges out of ``undeclared_pairs``, which
    have ``undeclared_exchanges`` together. Logs of ``read_days`` days were read, at most the longest window.
    ``unseen_share`` is the estimated share of links in use without an exchange in the window, None before it can be
    estimated. ``as_of`` is the end of the window in epoch seconds.
    """

    window_days: int
    exchanges: int
    undeclared_exchanges: int
    undeclared_pairs: int
    buses: tuple[BusTraffic, ...]
    undeclared: tuple[Undeclared, ...]
    read_days: float = 0.0
    unseen_share: float | None = None
    as_of: int = 0


class _HasUnusual(Protocol):
    @property
    def unusual(self) -> bool: ...


class _HasFindings(Protocol):
    @property
    def silent(self) -> bool: ...

    @property
    def disagrees(self) -> bool: ...

    @property
    def volume(self) -> _HasUnusual | None: ...


def link_findings(reconciliation: _HasFindings) -> tuple[str, ...]:
    """Return which of LINK_FINDINGS hold for a link, given its Reconciliation as a value or a message."""
    volume = reconciliation.volume
    holds = reconciliation.silent, reconciliation.disagrees, volume is not None and volume.unusual
    return tuple(finding for finding, holds_here in zip(LINK_FINDINGS, holds, strict=True) if holds_here)
