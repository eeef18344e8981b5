"""Exchanges over a data bus as values: parties, and summaries per slot (docs/exchange.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

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
