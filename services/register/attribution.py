"""From X-Road parties to agencies and links: members.csv and exchange.csv of the register (docs/exchange.md). Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.core.model import Parties, Register, escape_code

__all__ = ["UNMAPPED", "Attribution", "Attributor"]

UNMAPPED = "_unmapped"
"""Stands where an agency id would, for parties the register does not know: an undeclared exchange."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Agencies and link behind a pair. ``link`` only where exactly one maps; ``shared`` where several do."""

    consumer: str = UNMAPPED
    provider: str = UNMAPPED
    link: str = ""
    shared: bool = False


class Attributor:
    """What one register version says about X-Road parties; without a register, nothing maps.

    The subsystem's entry in members.csv comes before its member's. Where neither is listed, the links that exchange.csv
    names say who the parties are, if they agree. ``alias`` is an agency that stands in for every provider. Of a million links
    those of a few ``clients`` take little memory: with them, nobody else's are known.

    A bus that is not X-Road speaks in the register's own ids (collector/generic.py): its parties are agencies, and a link is the
    service, the provider and the data item that it names. An X-Road party has slashes in it, an agency's id has none.
    """

    def __init__(self, register: Register | None, alias: str = "", *, clients: Collection[str] | None = None) -> None:
        self.version = register.register_version if register else ""
        self.slot_seconds = register.policy.slot_seconds if register else 300
        self._alias = alias
        self._members: dict[str, str] = {}
        self._links: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
        if register is None:
            return
        self._members = {agency: agency for agency in register.agencies}
        self._members |= {member.id: member.agency for member in register.members}
        for route in register.routes:
            if clients is not None and route.client not in clients:
                continue
            link = register.links[route.link]
            self._links.setdefault((route.client, route.service), {})[link.id] = (
                register.consumer(link),
                link.provider,
            )
        for link in register.links.values():
            consumer = register.consumer(link)
            if clients is not None and consumer not in clients:
                continue
            service = "/".join((link.provider, link.service, escape_code(link.data_item)))
            self._links.setdefault((consumer, service), {})[link.id] = consumer, link.provider

    def _agency(self, party: str) -> str | None:
        member = "/".join(party.split("/")[:3])
        return self._members.get(party) or self._members.get(member)

    def of(self, parties: Parties) -> Attribution:
        """Who and what a pair of parties stands for."""
        links = self._links.get((parties.client, parties.service), {})
        consumers = {consumer for consumer, _ in links.values()}
        providers = {provider for _, provider in links.values()}
        consumer = self._agency(parties.client) or (consumers.pop() if len(consumers) == 1 else UNMAPPED)
        provider = self._agency(parties.provider) or (providers.pop() if len(providers) == 1 else UNMAPPED)
        return Attribution(
            consumer=consumer,
            provider=self._alias or provider,
            link=next(iter(links)) if len(links) == 1 else "",
            shared=len(links) > 1,
        )
