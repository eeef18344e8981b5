"""Exchanges of a window as values: compared with probes, and with the links of the register (docs/exchange.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

LINK_FINDINGS = ("silent", "disagreeing", "unusual")
"""Findings about a link: words of peyvand.v1.LinkFinding, of the metric and of the command line."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a difference of shares, with the bounds of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Volume:
    """Exchanges of the last six whole hours, ``recent``, compared with the ``expected`` number.

    ``expected`` is None before three weeks of history. The volume is ``unusual`` while a finding of silence, fall or
    rise touches the link. ``trend`` is the change per week as a share of the volume, None before two weeks.
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
