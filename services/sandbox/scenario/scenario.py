"""Draws a simulated government from a name and a seed: agencies, services, required links, addresses. Pure.

A few providers answer most inquiries (civil registration, tax, social insurance, the judiciary): the n-th is needed in
proportion to n^-0.9.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate

from persiantools.digits import en_to_fa

from services.core.errors import SettingsError
from services.core.model import ALWAYS, Agency, Endpoint, LegalBasis, Link, Service
from services.sandbox.scenario.addresses import (
    BUS_HOST,
    CONTROL_HOST,
    ServedLink,
    portal_host,
    provider_host,
    serve_links,
)
from services.sandbox.scenario.agency_tables import AGENCIES, ITEMS, DataItem
from services.sandbox.scenario.service_tables import ACTIONS, NEWER_LAW, OLDER_LAW, SUBJECTS
from services.sandbox.timing import Timing

BUS = "national-data-bus"
"""The id of the endpoint that is the data bus."""

MEMBER = "DEV/ORG/1234567-8"
"""The only member in the sample of real exchange records; one agency stands for it."""

ALIAS = "civil-registration"
"""The provider that stands for the other side of that member's exchanges, which are with itself."""

_MOST = 7
"""The most links that a service needs."""


@dataclass(frozen=True, slots=True)
class ScenarioSize:
    """How large a scenario is; ``absent`` is the share of required links that are not built."""

    agencies: int
    services: int
    links: int
    absent: float
    portals: int


SCENARIOS = {
    "small": ScenarioSize(agencies=24, services=120, links=300, absent=0.15, portals=8),
    # the fifth official round: 105 agencies, 2,200 services, an integration score of 50.19 %
    "national": ScenarioSize(agencies=105, services=2200, links=6600, absent=0.5, portals=30),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """The register's rows, and the served_links behind the live links.

    ``member_agency`` stands for MEMBER as a consumer; ``sample_link`` is the live link to ALIAS that its exchanges serve.
    """

    name: str
    seed: int
    agencies: tuple[Agency, ...]
    services: tuple[Service, ...]
    links: tuple[Link, ...]
    endpoints: tuple[Endpoint, ...]
    served_links: tuple[ServedLink, ...]
    bus_port: int
    control_target: str
    member_agency: str
    sample_link: str


def make_scenario(name: str, *, seed: int, base_port: int, times: Timing) -> Scenario:
    """Return a scenario; the same arguments give the same one. Raises SettingsError for an unknown name."""
    size = SCENARIOS.get(name)
    if size is None:
        raise SettingsError(f"there is no scenario `{name}`: choose {' or '.join(SCENARIOS)} with --scenario")
    rng = random.Random(f"{seed}/scenario/{name}")
    agencies = _agencies(size, rng)
    services = _services(size, agencies, rng)
    required = _required(size, services, agencies, rng)
    absent = set(rng.sample(range(len(required)), round(size.absent * len(required))))
    live = [(_link_id(service, item), item) for n, (service, item) in enumerate(required) if n not in absent]
    hosts = {provider: provider_host(n) for n, provider in enumerate(dict.fromkeys(item.provider for item in ITEMS))}
    served_links = serve_links(live, hosts, base_port, seed)
    by_link = {served.link: served for served in served_links}
    links = tuple(_link(service, item, by_link.get(_link_id(service, item)), times, rng) for service, item in required)
    member, sample = _sample(links, services)
    return Scenario(
        name=name,
        seed=seed,
        agencies=agencies,
        services=services,
        links=links,
        endpoints=_endpoints(size, agencies, base_port),
        served_links=served_links,
        bus_port=base_port,
        control_target=f"http://{CONTROL_HOST}:{base_port}/",
        member_agency=member,
        sample_link=sample.id,
    )


def _agencies(size: ScenarioSize, rng: random.Random) -> tuple[Agency, ...]:
    return tuple(
        Agency(
            id=name,
            name_en=english,
            name_fa=persian,
            sector=sector,
            staff=round(rng.lognormvariate(8, 1)),
            satisfaction=round(rng.uniform(0.45, 0.9), 2),
        )
        for name, sector, english, persian in AGENCIES[: size.agencies]
    )


def _services(size: ScenarioSize, agencies: Sequence[Agency], rng: random.Random) -> tuple[Service, ...]:
    """Spread the services over the agencies; each agency has at least one."""
    choices = {
        agency.id: rng.sample([(s, a) for s in SUBJECTS[agency.sector] for a in ACTIONS], k=6 * len(ACTIONS))
        for agency in agencies
    }
    owners = [agency.id for agency in agencies]
    owners += rng.choices(owners, k=size.services - len(owners))
    services = []
    for owner in owners:
        # an agency without services left to offer gives way to the one with the most left
        agency = owner if choices[owner] else max(choices, key=lambda name: (len(choices[name]), name))
        subject, action = choices[agency].pop()
        services.append(
            Service(
                id=f"{agency}-{subject.id}-{action.id}",
                agency=agency,
                name_en=f"{action.en} {subject.en}",
                name_fa=f"{action.fa} {subject.fa}",
                channel=rng.choice(("unified", "own", "both", "")),
                weight=rng.choice((1.0,) * 9 + (2.0,)),
            )
        )
    return tuple(sorted(services, key=lambda service: service.id))


def _required(
    size: ScenarioSize, services: Sequence[Service], agencies: Sequence[Agency], rng: random.Random
) -> list[tuple[Service, DataItem]]:
    """Return which service needs which item: about one service in thirty needs none, the others one to seven."""
    present = {agency.id for agency in agencies}
    items = [item for item in ITEMS if item.provider in present]
    rank = {provider: n + 1 for n, provider in enumerate(dict.fromkeys(item.provider for item in items))}
    share = Counter(item.provider for item in items)
    weights = list(accumulate(rank[item.provider] ** -0.9 / share[item.provider] for item in items))
    needy = rng.sample(range(len(services)), k=len(services) - len(services) // 30)
    counts = dict.fromkeys(needy, 1)
    for _ in range(size.links - len(needy)):
        number = rng.choice(needy)
        while counts[number] == _MOST:
            number = rng.choice(needy)
        counts[number] += 1
    required = []
    for number, count in sorted(counts.items()):
        service = services[number]
        chosen: dict[str, DataItem] = {}
        while len(chosen) < count:
            item = rng.choices(items, cum_weights=weights)[0]
            if item.provider != service.agency:
                chosen[item.id] = item
        required += [(service, item) for item in chosen.values()]
    return sorted(required, key=lambda pair: _link_id(*pair))


def _link_id(service: Service, item: DataItem) -> str:
    return f"{service.id}-{item.id}"


def _link(service: Service, item: DataItem, served: ServedLink | None, times: Timing, rng: random.Random) -> Link:
    required_from = rng.choice((None, None, date(2024, 3, 20)))
    live_from = rng.choice((ALWAYS, ALWAYS, date(2023, 3, 21)))
    weight = rng.choice((1.0,) * 9 + (2.0,))
    slo = rng.choice((0.95, 0.95, 0.99))
    link = Link(
        id=_link_id(service, item),
        service=service.id,
        provider=item.provider,
        data_item=item.id,
        required_from=required_from,
        live_from=None,
        latency_ms=round(times.latency * 1000),
        slo=slo,
        weight=weight,
        legal_basis=_legal_basis(item, required_from),
    )
    if served is None:
        return link
    return replace(
        link,
        live_from=live_from,
        probe=served.probe,
        target=served.target,
        params=tuple({"item": item.id, **record} for record in served.records),
        max_age_s=served.max_age_s,
    )


def _legal_basis(item: DataItem, required_from: date | None) -> LegalBasis | None:
    """Return the law that requires an inquiry: the newer one if it has a first day, and none for every fifth item."""
    number = ITEMS.index(item)
    if number % 5 == 0:
        return None
    return replace(NEWER_LAW if required_from else OLDER_LAW, article=f"مادهٔ {en_to_fa(str(number))} (art. {number})")


def _endpoints(size: ScenarioSize, agencies: Sequence[Agency], base_port: int) -> tuple[Endpoint, ...]:
    """Return the bus, run by the post (in every scenario), and portals, every other one over TLS."""
    bus = Endpoint(BUS, "national-post", None, "bus", f"https://{BUS_HOST}:{base_port}/status")
    portals = (
        Endpoint(
            id=f"{agency.id}-portal",
            agency=agency.id,
            service=None,
            probe="portal-tls" if number % 2 else "portal-plain",
            target=f"{'https' if number % 2 else 'http'}://{portal_host(number)}:{base_port}/",
        )
        for number, agency in enumerate(agencies[: size.portals])
    )
    return (bus, *portals)


def _sample(links: Sequence[Link], services: Sequence[Service]) -> tuple[str, Link]:
    """Return the consumer with the fewest links to ALIAS, among those with a live one, and its first live link."""
    owner = {service.id: service.agency for service in services}
    to_alias: dict[str, list[Link]] = {}
    for link in links:
        if link.provider == ALIAS:
            to_alias.setdefault(owner[link.service], []).append(link)
    live = {consumer: [link for link in links if not link.absent] for consumer, links in to_alias.items()}
    consumer = min((name for name in live if live[name]), key=lambda name: (len(to_alias[name]), name))
    return consumer, live[consumer][0]
