"""Who calls what over the simulated data bus: members, security servers, and the routes exchanges take. Pure.

Every agency is a member with a subsystem that provides its data, and one client subsystem per subject of its services,
or, every third one, a single one for all. Its data items have an X-Road service each, but for those of the first agency,
which answers all inquiries about a person by one. Links of one subsystem that use the same service share a route. A few routes are in no register, one asks about the bus
itself, some are silent, and on one people are answered worse than probers are.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.sandbox.scenario.scenario import Scenario
from services.sandbox.scenario.addresses import security_host

__all__ = ["Bus", "Route", "Server", "data_bus"]

_INSTANCE = "SANDBOX"
_SERVERS = 6
"""Security servers that the agencies share."""

_SKEW_MS = 900
"""How far the clock of a security server may be off; less than the shortest slot."""

_SILENT = 1 / 12
_UNFAIR = 0.3
_UNDECLARED = (0.03, 0.015, 0.01)
"""What routes that no register names carry beside all others: an agency, a firm, questions to the bus."""
_STRANGER = f"{_INSTANCE}/COM/9000/app"


@dataclass(frozen=True, slots=True)
class Server:
    """A security server: INSTANCE/CLASS/CODE/SERVER, its address, and by how much its clock is ahead, in milliseconds."""

    id: str
    name: str
    host: str
    skew_ms: int

    @property
    def owner(self) -> str:
        """The member that it belongs to."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Route:
    """A client subsystem that calls a service (X-Road identifiers), through the servers with these numbers.

    ``links`` are those it serves, none if it is in no register. ``weight`` is its share of the traffic; ``unfair`` of its
    exchanges fail whatever a prober would see. ``rest`` tells its services from those of the bus itself.
    """

    client: str
    service: str
    links: tuple[str, ...]
    client_server: int
    provider_server: int
    weight: float
    unfair: float = 0.0
    rest: bool = True

    @property
    def provider(self) -> str:
        """The member or subsystem whose service it is."""
        return self.service.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Bus:
    """The data bus of a scenario; ``members`` is member -> agency, ``monitor`` the subsystem that may read all records."""

    members: Mapping[str, str]
    monitor: str
    servers: tuple[Server, ...]
    routes: tuple[Route, ...]


def data_bus(made: Scenario) -> Bus:
    """Lay out the data bus of a scenario; the same scenario gives the same one."""
    rng = random.Random(f"{made.seed}/bus")
    numbers = {agency.id: number for number, agency in enumerate(made.agencies)}
    servers = tuple(
        Server(
            id=f"ss{number + 1}",
            name=f"{_member(number)}/ss{number + 1}",
            host=security_host(number),
            skew_ms=rng.randint(-_SKEW_MS, _SKEW_MS),
        )
        for number in range(min(_SERVERS, len(made.agencies)))
    )
    declared = _declared(made, numbers, rng)
    used = [route for route in declared if route.weight > 0]
    if used:
        middle = sorted(used, key=lambda route: route.weight)[len(used) // 2]
        declared = [replace(route, unfair=_UNFAIR) if route == middle else route for route in declared]
    return Bus(
        members={_member(number): agency for agency, number in numbers.items()},
        monitor=f"{_member(0)}/monitoring",
        servers=servers,
        routes=(*declared, *_undeclared(made, declared, numbers, rng)),
    )


def _member(number: int) -> str:
    return f"{_INSTANCE}/GOV/{1000 + number}"


def _server(number: int) -> int:
    return number % _SERVERS


def _declared(made: Scenario, numbers: Mapping[str, int], rng: random.Random) -> list[Route]:
    """Give every link over the bus a route; volumes are spread widely, and some are none at all."""
    owner = {service.id: service.agency for service in made.services}
    service_of = {link.id: link.service for link in made.links}
    routes: dict[tuple[str, str], Route] = {}
    for wire in made.wires:
        if not wire.on_bus:
            continue
        service = service_of[wire.link]
        consumer, provider = numbers[owner[service]], numbers[wire.provider]
        subject = service.removeprefix(f"{owner[service]}-").rpartition("-")[0]
        subsystem = "services" if consumer % 3 == 1 else subject
        asked = wire.item if provider else wire.family.name
        key = f"{_member(consumer)}/{subsystem}", f"{_member(provider)}/data/{asked}"
        weight = 0.0 if rng.random() < _SILENT else rng.lognormvariate(0, 1)
        known = routes.get(key)
        if known is None:
            routes[key] = Route(*key, (wire.link,), _server(consumer), _server(provider), weight)
        else:
            routes[key] = replace(known, links=(*known.links, wire.link), weight=known.weight + weight)
    return list(routes.values())


def _undeclared(
    made: Scenario, declared: Sequence[Route], numbers: Mapping[str, int], rng: random.Random
) -> list[Route]:
    """Add what no register names: an agency that has no link to the provider it asks, a firm, and a question to the bus
    itself; each is soon seen in the traffic.
    """
    if not declared:
        return []
    owner = {service.id: service.agency for service in made.services}
    linked = {(numbers[owner[link.service]], f"{_member(numbers[link.provider])}/data") for link in made.links}
    strangers = [
        (agency, route)
        for route in declared
        for agency in range(len(numbers))
        if (agency, route.provider) not in linked and not route.provider.startswith(f"{_member(agency)}/")
    ]
    unexpected, one = rng.choice(strangers)
    other, volume = rng.choice(declared), sum(route.weight for route in declared)
    reporting, firm, question = (share * volume for share in _UNDECLARED)
    return [
        Route(f"{_member(unexpected)}/reporting", one.service, (), _server(unexpected), one.provider_server, reporting),
        Route(_STRANGER, other.service, (), other.provider_server, other.provider_server, firm),
        Route(
            *(one.client, f"{other.provider}/listMethods", ()),
            one.client_server,
            other.provider_server,
            question,
            rest=False,
        ),
    ]
