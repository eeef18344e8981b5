"""Attributes exchanges to agencies and links by members.csv and exchange.csv (docs/exchange.md §3). Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from services.core.model import ExchangeRoute, ExchangeSummary, Link, Parties, Register, escape_code, member_of
from services.core.texts import fold

UNMAPPED = "_unmapped"
"""Stands in for the agency id of a party that the register does not know: an undeclared exchange."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The agencies and the link of a pair of parties.

    ``link`` is empty unless exactly one link maps; ``shared`` is set if several do.
    """

    consumer: str = UNMAPPED
    provider: str = UNMAPPED
    link: str = ""
    shared: bool = False


class Attributor:
    """Attributes parties by one register; without a register, nothing maps.

    The entry of a subsystem in members.csv takes precedence over its member's. If neither is listed, the links that
    exchange.csv names decide who the parties are, if they agree.

    The records of a bus other than X-Road use the ids of the register: their parties are agencies. Their service,
    provider and data item name a link, compared as the register compares them. An X-Road party has slashes, an agency
    id has none.
    """

    def __init__(self, register: Register | None) -> None:
        self._register = register
        self._members: dict[str, str] = {}
        self._routes: dict[str, list[ExchangeRoute]] = defaultdict(list)
        self._own_links: dict[str, list[Link]] = defaultdict(list)
        self._links: dict[str, dict[str, list[Link]]] = {}
        if register is None:
            return
        self._members = {agency: agency for agency in register.agencies}
        self._members |= {member.id: member.agency for member in register.members}
        for route in register.routes:
            self._routes[route.client].append(route)
        for link in register.links.values():
            self._own_links[register.consumer(link)].append(link)

    def attribute(self, parties: Parties, alias: str = "") -> Attribution:
        """Return the agencies and the link of a pair of parties; ``alias`` is an agency that replaces the provider."""
        links = self._links_of(parties.client).get(_key(parties.client, parties.service), ())
        consumers = {self._register.consumer(link) for link in links} if self._register else set()
        providers = {link.provider for link in links}
        consumer = self._agency(parties.client) or (consumers.pop() if len(consumers) == 1 else UNMAPPED)
        provider = self._agency(parties.provider) or (providers.pop() if len(providers) == 1 else UNMAPPED)
        return Attribution(
            consumer=consumer,
            provider=alias or provider,
            link=links[0].id if len(links) == 1 else "",
            shared=len(links) > 1,
        )

    def links(self, client: str, service: str) -> frozenset[str]:
        """Return every link that a client's calls of a service belong to."""
        return frozenset(link.id for link in self._links_of(client).get(_key(client, service), ()))

    def attribute_summary(self, summary: ExchangeSummary) -> ExchangeSummary:
        """Return a summary with its agencies and its link."""
        found = self.attribute(Parties.of(summary.client, summary.service, meta=summary.meta), summary.alias)
        return replace(summary, consumer=found.consumer, provider=found.provider, link=found.link, shared=found.shared)

    def _agency(self, party: str) -> str | None:
        return self._members.get(party) or self._members.get(member_of(party))

    def _links_of(self, client: str) -> dict[str, list[Link]]:
        """Return the links by service that a client may call; only clients seen so far are indexed, to save memory."""
        links = self._links.get(client)
        if links is None and (client in self._routes or client in self._own_links):
            assert self._register is not None
            by_service: dict[str, dict[str, Link]] = defaultdict(dict)
            for route in self._routes.get(client, ()):
                by_service[_key(client, route.service)][route.link] = self._register.links[route.link]
            for link in self._own_links.get(client, ()):
                name = "/".join((link.provider, link.service, escape_code(link.data_item)))
                by_service[_key(client, name)][link.id] = link
            links = self._links[client] = {service: list(found.values()) for service, found in by_service.items()}
        return links or {}


def _key(client: str, service: str) -> str:
    """Return the lookup key of a service: folded, except on X-Road, whose identifiers stay as written."""
    parts = service.split("/")
    return "/".join(map(fold, parts)) if "/" not in client and len(parts) == 3 else service
