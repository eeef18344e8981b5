"""Assigns addresses, ports, TLS and records to everything that is served. Pure.

Providers are on 127.1.x.y, portals on 127.2.x.y, the bus and the control target on 127.3.0.x, security servers on
127.3.1.x. The k-th live link of a provider is on port base_port + k, so that one link can be refused while its
neighbours answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.core.errors import SettingsError
from services.sandbox.scenario.agency_tables import DataItem
from services.sandbox.scenario.records import FAMILIES, RecordFamily, make_subject

BUS_HOST = "127.3.0.1"
CONTROL_HOST = "127.3.0.2"
TLS_SHARE = 0.45
BUS_SHARE = 0.25
_PER_NET = 250
_AGES = (3600, 86400, 7 * 86400)


@dataclass(frozen=True, slots=True)
class ServedLink:
    """How one live link is served: its address, and whether over TLS and over the bus.

    ``records`` are those of two subjects; ``max_age_s`` is the age limit of the data in seconds.
    """

    link: str
    provider: str
    host: str
    port: int
    tls: bool
    on_bus: bool
    item: str
    family: RecordFamily
    records: tuple[Mapping[str, str], Mapping[str, str]]
    max_age_s: int

    @property
    def target(self) -> str:
        """The URL as it stands in the register, with a placeholder for the subject."""
        path = f"/{'bus' if self.on_bus else 'api'}/{self.item}"
        query = f"?{self.family.key}=${{{self.family.key}}}" if self.family.method == "GET" else ""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}{query}"

    @property
    def probe(self) -> str:
        """The name of the probe definition of this link."""
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


def serve_links(
    links: Iterable[tuple[str, DataItem]], hosts: Mapping[str, str], base_port: int, seed: int
) -> tuple[ServedLink, ...]:
    """Assign addresses to live links (link id, data item), in this order. Raises SettingsError when the ports run out."""
    links = list(links)
    rng = random.Random(f"{seed}/wiring")
    over_tls, over_bus = _draw_share(links, TLS_SHARE, rng), _draw_share(links, BUS_SHARE, rng)
    next_port: dict[str, int] = {}
    served_links = []
    for link, item in links:
        port = next_port.get(item.provider, base_port)
        next_port[item.provider] = port + 1
        if port > 0xFFFF:
            raise SettingsError(f"there are too few ports from {base_port} on for {item.provider}: lower --base-port")
        family = FAMILIES[item.family]
        record, other = make_subject(family, rng), make_subject(family, rng)
        while any(record[field] == other[field] for field in (family.key, family.fields[0])):
            other = make_subject(family, rng)
        served_links.append(
            ServedLink(
                link=link,
                provider=item.provider,
                host=hosts[item.provider],
                port=port,
                tls=link in over_tls,
                on_bus=link in over_bus,
                item=item.id,
                family=family,
                records=(record, other),
                max_age_s=rng.choice(_AGES),
            )
        )
    return tuple(served_links)


def _draw_share(links: Sequence[tuple[str, DataItem]], share: float, rng: random.Random) -> set[str]:
    return set(rng.sample([link for link, _ in links], round(share * len(links))))
