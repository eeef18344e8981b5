"""Reads members.csv and exchange.csv, by which exchanges belong to agencies and links."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from services.core.model import ExchangeRoute, Link, Member, Service, member_of
from services.core.texts import fold
from services.register.directory.agencies import AGENCIES
from services.register.directory.links import LINKS
from services.register.faults import FaultList
from services.register.reading import read_optional_table, read_party

MEMBERS = "members.csv"
EXCHANGE = "exchange.csv"


def read_members(directory: Path, faults: FaultList, agencies: Container[str] | None) -> tuple[Member, ...]:
    """Read the X-Road members, in id order."""
    members: dict[str, Member] = {}
    for row in read_optional_table(directory / MEMBERS, faults, ("member", "agency")).rows:
        name = row.need("member", read_party, "")
        if name in members:
            row.fault("member", f"`{name}` is there twice")
        members[name] = Member(name, row.reference("agency", agencies, AGENCIES, required=True))
    return tuple(members[name] for name in sorted(members))


def read_routes(
    directory: Path,
    faults: FaultList,
    ids: Container[str] | None,
    links: Mapping[str, Link],
    *,
    owners: Mapping[str, Service],
    members: Iterable[Member],
) -> tuple[ExchangeRoute, ...]:
    """Read the exchanges that serve links, in order of client, service and link.

    ``ids`` are those of all links, ``links`` are the links that could be read, ``owners`` the services by id. A client of
    another agency than the consumer of its link is a warning, and so is a service of another agency than the provider:
    agencies may share an information system. The service of a member that calls itself gives none, as an alias may stand
    for its provider (docs/exchange.md §7).
    """
    agencies = {member.id: member.agency for member in members}

    def agency_of(party: str) -> str | None:
        return agencies.get(party) or agencies.get(member_of(party))

    routes: set[tuple[str, str, str]] = set()
    for row in read_optional_table(directory / EXCHANGE, faults, ("client", "service", "link")).rows:
        client, service = row.need("client", read_party, ""), row.need("service", _read_service, "")
        link = row.reference("link", ids, LINKS, required=True)
        if link in links and links[link].service in owners:
            consumer, provider = owners[links[link].service].agency, links[link].provider
            own = member_of(client) == member_of(service)
            for column, agency, side, linked in (
                ("client", agency_of(client), "consumer", consumer),
                ("service", None if own else agency_of(service.rpartition("/")[0]), "provider", provider),
            ):
                if agency and agency != linked:
                    row.warn(
                        column,
                        f"is of `{agency}` by members.csv, and the {side} of link `{link}` is `{linked}`: "
                        "check both, unless the two share an information system",
                    )
        route = (client, service, link)
        if route in routes:
            row.fault("client", "the row is there twice")
        routes.add(route)
    return tuple(ExchangeRoute(*route) for route in sorted(routes))


def _read_service(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 5 or not all(fold(part) for part in parts):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE/SUBSYSTEM/service")
    return text
