"""Where everything answers: addresses, ports, TLS, and whose record each live link asks for. Pure.

One loopback address per provider (127.1.x.y) and per portal (127.2.x.y), the bus and the control target on 127.3.0.x,
security servers on 127.3.1.x.
The k-th live link of a provider is on port base_port + k, so that one link can be refused while its neighbours answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.core.errors import SettingsError
from services.sandbox.scenario.agency_tables import Item
from services.sandbox.scenario.records import FAMILIES, Family, subject

__all__ = ["BUS_HOST", "CONTROL_HOST", "Wire", "portal_host", "provider_host", "security_host", "wire"]

BUS_HOST = "127.3.0.1"
CONTROL_HOST = "127.3.0.2"
TLS_SHARE = 0.45
BUS_SHARE = 0.25
_PER_NET = 250
_AGES = (3600, 86400, 7 * 86400)


@dataclass(frozen=True, slots=True)
class Wire:
    """How one live link is served: its address, whether over TLS and over the bus, the records of the two subjects
    that it knows, and the age limit of the data in seconds.
    """

    link: str
    provider: str
    host: str
    port: int
    tls: bool
    on_bus: bool
    item: str
    family: Family
    records: tuple[Mapping[str, str], Mapping[str, str]]
    max_age_s: int

    @property
    def target(self) -> str:
        """The URL as the register has it, with the subject still to be filled in."""
        path = f"/{'bus' if self.on_bus else 'api'}/{self.item}"
        asked = f"?{self.family.key}=${{{self.family.key}}}" if self.family.method == "GET" else ""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}{asked}"

    @property
    def probe(self) -> str:
        """The name of the probe definition that fits."""
        return f"{self.family.name}-{'tls' if self.tls else 'plain'}"


def provider_host(number: int) -> str:
    """Return the address of the provider with this number, counted from 0."""
    return f"127.1.{number // _PER_NET}.{number % _PER_NET + 1}"


def portal_host(number: int) -> str:
    """Return the address of the portal with this number, counted from 0."""
    return f"127.2.{number // _PER_NET}.{number % _PER_NET + 1}"


def security_host(number: int) -> str:
    """Return the address of the security server with this number, counted from 0."""
    return f"127.3.1.{number + 1}"


def wire(links: Iterable[tuple[str, Item]], hosts: Mapping[str, str], base_port: int, seed: int) -> tuple[Wire, ...]:
    """Wire up live links, given as (link id, data item), in this order; SettingsError when the ports run out."""
    wanted = list(links)
    rng = random.Random(f"{seed}/wiring")
    tls = _share(wanted, TLS_SHARE, rng)
    bus = _share(wanted, BUS_SHARE, rng)
    used: dict[str, int] = {}
    wires = []
    for name, item in wanted:
        port = base_port + used.setdefault(item.provider, 0)
        used[item.provider] += 1
        if port > 0xFFFF:
            raise SettingsError(f"the ports from {base_port} on do not suffice for {item.provider}: lower --base-port")
        family = FAMILIES[item.family]
        record, other = subject(family, rng), subject(family, rng)
        while any(record[field] == other[field] for field in (family.key, family.fields[0])):
            other = subject(family, rng)
        wires.append(
            Wire(
                link=name,
                provider=item.provider,
                host=hosts[item.provider],
                port=port,
                tls=name in tls,
                on_bus=name in bus,
                item=item.id,
                family=family,
                records=(record, other),
                max_age_s=rng.choice(_AGES),
            )
        )
    return tuple(wires)


def _share(wanted: list[tuple[str, Item]], share: float, rng: random.Random) -> set[str]:
    return set(rng.sample([name for name, _ in wanted], round(share * len(wanted))))
