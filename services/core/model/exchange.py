"""Who calls what over a data bus, as it is logged and as the register names it (docs/exchange.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

__all__ = ["Parties", "escaped"]

_GENERIC_PARTS = 3
"""Provider, service and data item. Services of X-Road have one part more than their provider, which has three or four."""


def escaped(code: str) -> str:
    """Write a slash inside a code as %2F (and % as %25), so that two different parties never read the same."""
    return code.replace("%", "%25").replace("/", "%2F")


@dataclass(frozen=True, slots=True)
class Parties:
    """Who called what: X-Road identifiers, slash-separated, as logged ("" where a call failed before it named them).

    ``client`` and ``provider`` are ``INSTANCE/CLASS/CODE[/SUBSYSTEM]``, ``service`` is ``provider/serviceCode``; over a bus
    that is not X-Road they are agencies, and ``service`` is ``provider/service/data_item``.
    ``meta`` marks services of the bus itself: known by name, or addressed to a member without a subsystem.
    """

    client: str
    provider: str
    service: str
    meta: bool

    @classmethod
    def of(cls, client: str, service: str, *, meta: bool) -> Self:
        """Read the provider from the service."""
        parts = service.split("/")
        provider = parts[0] if len(parts) == _GENERIC_PARTS else "/".join(parts[:-1])
        return cls(client, provider, service, meta)
