"""Makes the simulated data bus: its members, its security servers, and the routes that exchanges take. Pure.

Every agency is a member with a subsystem that provides its data, and one client subsystem per subject of its services
or, every third agency, a single one for all. Each data item has an X-Road service of its own, except that the first
agency answers all inquiries about one family with one service. Services that are called by POST use SOAP, others REST.
Links of one subsystem that use the same service share a route. A few routes are in no register, one calls a
service of the bus itself, some are silent, and one fails for people more often than for probers.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.core.model import member_of
from services.sandbox.scenario import Scenario, security_host

_INSTANCE = "SANDBOX"
_SERVERS = 6
"""How many security servers the agencies share."""

_SKEW_MS = 900
"""The largest error of a security server's clock; less than the shortest slot."""

_SILENT = 1 / 12
_UNFAIR = 0.3
_UNDECLARED = (0.03, 0.015, 0.01)
"""Traffic of the undeclared routes as shares of all other traffic: an agency, a firm, calls to the bus itself."""
_FIRM = f"{_INSTANCE}/COM/9000/app"
_FIRM_NAME = "Sandbox Trading"


@dataclass(frozen=True, slots=True)
class BusServer:
    """A security server: INSTANCE/CLASS/CODE/SERVER, its address, and how far its clock is ahead, in milliseconds."""

    id: str
    name: str
    host: str
    skew_ms: int

    @property
    def owner(self) -> str:
        """The member that owns it."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Route:
    """A client subsystem that calls a service (X-Road identifiers), through the servers with these numbers.

    ``links`` are those it serves, none if it is in no register. ``weight`` is its share of the traffic. The share
    ``unfair`` of its exchanges fails whatever a prober would see. ``rest`` is False for SOAP services, such as those of
    the bus itself.
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
        """The member or subsystem that provides the service."""
        return self.service.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class DataBus:
    """The data bus of a scenario.

    ``members`` maps members to agencies; ``names`` maps members and other parties to their names. ``monitor`` is the
    subsystem that reads all records.
    """

    members: Mapping[str, str]
    names: Mapping[str, str]
    monitor: str
    servers: tuple[BusServer, ...]
    routes: tuple[Route, ...]


def make_data_bus(made: Scenario) -> DataBus:
    """Return the data bus of a scenario; the same scenario gives the same one."""
    rng = random.Random(f"{made.seed}/bus")
    numbers = {agency.id: number for number, agency in enumerate(made.agencies)}
    servers = tuple(
        BusServer(
            id=f"ss{number + 1}",
            name=f"{_member(number)}/ss{number + 1}",
            host=security_host(number),
            skew_ms=rng.randint(-_SKEW_MS, _SKEW_MS),
        )
        for number in range(min(_SERVERS, len(made.agencies)))
    )
    declared = _declared(made, numbers, rng)
    used = sorted((route for route in declared if route.weight > 0), key=lambda route: route.weight)
    if used:
        median = used[len(used) // 2]
        declared = [replace(route, unfair=_UNFAIR) if route == median else route for route in declared]
    return DataBus(
        members={_member(number): agency for agency, number in numbers.items()},
        names={
            **{_member(number): agency.name_en for number, agency in enumerate(made.agencies)},
            member_of(_FIRM): _FIRM_NAME,
        },
        monitor=f"{_member(0)}/monitoring",
        servers=servers,
        routes=(*declared, *_undeclared(made, declared, numbers, rng)),
    )


def _member(number: int) -> str:
    return f"{_INSTANCE}/GOV/{1000 + number}"


def _server(number: int) -> int:
    return number % _SERVERS


def _declared(made: Scenario, numbers: Mapping[str, int], rng: random.Random) -> list[Route]:
    """Return the routes of the links over the bus; their volumes vary widely, and some are zero."""
    owner = {service.id: service.agency for service in made.services}
    service_of = {link.id: link.service for link in made.links}
    routes: dict[tuple[str, str], Route] = {}
    for served in made.served_links:
        if not served.on_bus:
            continue
        service = service_of[served.link]
        consumer, provider = numbers[owner[service]], numbers[served.provider]
        subject = service.removeprefix(f"{owner[service]}-").rpartition("-")[0]
        subsystem = "services" if consumer % 3 == 1 else subject
        code = served.item if provider else served.family.name
        key = f"{_member(consumer)}/{subsystem}", f"{_member(provider)}/data/{code}"
        weight = 0.0 if rng.random() < _SILENT else rng.lognormvariate(0, 1)
        route = routes.get(key)
        if route is None:
            rest = served.family.method == "GET"
            routes[key] = Route(*key, (served.link,), _server(consumer), _server(provider), weight, rest=rest)
        else:
            routes[key] = replace(route, links=(*route.links, served.link), weight=route.weight + weight)
    return list(routes.values())


def _undeclared(
    made: Scenario, declared: Sequence[Route], numbers: Mapping[str, int], rng: random.Random
) -> list[Route]:
    """Return routes that no register has: an agency without a link to the provider, a firm, and a call to the bus itself.

    Each has enough traffic to appear soon.
    """
    if not declared:
        return []
    owner = {service.id: service.agency for service in made.services}
    linked = {(numbers[owner[link.service]], f"{_member(numbers[link.provider])}/data") for link in made.links}
    unlinked = [
        (agency, route)
        for route in declared
        for agency in range(len(numbers))
        if (agency, route.provider) not in linked and not route.provider.startswith(f"{_member(agency)}/")
    ]
    agency, first = rng.choice(unlinked)
    second, volume = rng.choice(declared), sum(route.weight for route in declared)
    of_agency, of_firm, of_bus = (share * volume for share in _UNDECLARED)
    methods = f"{second.provider}/listMethods"
    return [
        replace(
            first,
            client=f"{_member(agency)}/reporting",
            links=(),
            client_server=_server(agency),
            weight=of_agency,
            unfair=0.0,
        ),
        replace(second, client=_FIRM, links=(), client_server=second.provider_server, weight=of_firm, unfair=0.0),
        Route(first.client, methods, (), first.client_server, second.provider_server, of_bus, rest=False),
    ]
