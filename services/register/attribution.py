"""Attribution of exchanges to agencies and links, by members.csv and exchange.csv (docs/exchange.md). Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.core.model import Parties, Register, escape_code, member_of

__all__ = ["UNMAPPED", "Attribution", "Attributor"]

UNMAPPED = "_unmapped"
"""In place of an agency id, for parties that the register does not know: an undeclared exchange."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The agencies and the link of an exchange. ``link`` is empty unless exactly one maps; ``shared`` if several do."""

    consumer: str = UNMAPPED
    provider: str = UNMAPPED
    link: str = ""
    shared: bool = False


class Attributor:
    """Attributes exchanges by one register version; without a register, nothing maps.

    In members.csv, a subsystem's entry takes precedence over its member's. Without either, the links that exchange.csv names
    determine the agencies, if they agree. ``alias`` is an agency that replaces every provider. Given ``clients``, only their
    links are kept, which saves memory in a register of a million links.

    Logs of a bus that is not X-Road use the register's own ids: the parties are agencies, and service, provider and data
    item name the link. X-Road parties contain slashes, agency ids do not.
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
            self._links.setdefault((route.client, route.service), {})[link.id] = register.consumer(link), link.provider
        for link in register.links.values():
            consumer = register.consumer(link)
            if clients is not None and consumer not in clients:
                continue
            service = "/".join((link.provider, link.service, escape_code(link.data_item)))
            self._links.setdefault((consumer, service), {})[link.id] = consumer, link.provider

    def _agency(self, party: str) -> str | None:
        return self._members.get(party) or self._members.get(member_of(party))

    def attribute(self, parties: Parties) -> Attribution:
        """Return the agencies and the link of an exchange between these parties."""
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
