"""Reads the register's names, which every page shows in place of ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from services.client import Client
from services.console.queries.figures import collected
from services.core.errors import ApiForbiddenError
from services.core.model import default_window, in_language
from services.core.texts import name_key


@dataclass(frozen=True, slots=True)
class NamedAgency:
    """An agency by its names; either may be empty."""

    id: str
    name_en: str
    name_fa: str
    sector: str


@dataclass(frozen=True, slots=True)
class NamedService:
    """A service by its names, and the agency that owns it."""

    id: str
    agency: str
    name_en: str
    name_fa: str
    channel: str


@dataclass(frozen=True, slots=True)
class NamedLink:
    """An inquiry by what it is about, as lists and pages show it."""

    link: str
    service: str
    consumer: str
    provider: str
    data_item: str
    absent: bool


def naming(link: Any) -> dict[str, Any]:
    """Return the fields of ``NamedLink`` for a link of the api."""
    return {"link": link.id, **{field: getattr(link, field) for field in LINK_FIELDS}}


async def named_links(api: Client, links: Iterable[str]) -> dict[str, NamedLink]:
    """Return by id the inquiries that the api shows a reader. Raises ApiError."""
    wanted = sorted(set(links))
    return {
        one.link.id: NamedLink(**naming(one.link))
        for start in range(0, len(wanted), _IDS)
        async for one in api.links(links=wanted[start : start + _IDS])
    }


_IDS = 800
"""The most ids in one request, each of up to 63 characters: the api refuses requests of more than 64 KiB."""

LINK_FIELDS = ("service", "consumer", "provider", "data_item", "absent")
"""The fields of a link that lists show beside its id."""


@dataclass(frozen=True, slots=True)
class Names:
    """The register in force, as far as its readers may see it."""

    government_en: str
    government_fa: str
    published: int | None
    """When it was published, None where the api does not know."""
    zone: ZoneInfo
    epoch: int
    slot_seconds: int
    windows_days: tuple[int, ...]
    publish_threshold: float
    vantages: tuple[str, ...]
    links: int
    links_absent: int
    links_with_legal_basis: int
    agencies: Mapping[str, NamedAgency]
    services: Mapping[str, NamedService]

    @property
    def default_window(self) -> int:
        """The window of figures whose address names none."""
        return default_window(self.windows_days)

    @property
    def sectors(self) -> tuple[str, ...]:
        """Every sector that an agency belongs to, in order."""
        return tuple(sorted({agency.sector for agency in self.agencies.values()}))

    def sector_of(self, agency: str) -> str:
        """Return the sector of an agency, empty where the register has no such agency."""
        one = self.agencies.get(agency)
        return "" if one is None else one.sector

    def agency(self, agency: str, language: str) -> str:
        """Return an agency's name in a language, else its name in the other one, else its id."""
        one = self.agencies.get(agency)
        return agency if one is None else _name(one, language)

    def service(self, service: str, language: str) -> str:
        """Return a service's name, likewise."""
        one = self.services.get(service)
        return service if one is None else _name(one, language)

    def government(self, language: str) -> str:
        """Return the government's name, likewise."""
        return in_language(language, self.government_en, self.government_fa)


def matches(wanted: str, one: NamedAgency | NamedService) -> bool:
    """Return whether an id or a name contains ``wanted``, a text folded as the register folds names (``name_key``)."""
    return any(wanted in name_key(text) for text in (one.id, one.name_en, one.name_fa))


def _name(one: NamedAgency | NamedService, language: str) -> str:
    return in_language(language, one.name_en, one.name_fa) or one.id


async def fetch_names(api: Client) -> Names:
    """Return the names that the api shows a reader. Raises ApiError."""
    register, agencies, services = await asyncio.gather(api.register(), collected(api.agencies()), _services(api))
    return Names(
        government_en=register.name_en,
        government_fa=register.name_fa,
        published=register.published.seconds if register.HasField("published") else None,
        zone=ZoneInfo(register.timezone),
        epoch=register.epoch.seconds,
        slot_seconds=register.slot_seconds,
        windows_days=tuple(register.windows_days),
        publish_threshold=register.publish_threshold,
        vantages=tuple(register.vantages),
        links=register.links,
        links_absent=register.links_absent,
        links_with_legal_basis=register.links_with_legal_basis,
        agencies={one.id: NamedAgency(one.id, one.name_en, one.name_fa, one.sector) for one in agencies},
        services={one.id: NamedService(one.id, one.agency, one.name_en, one.name_fa, one.channel) for one in services},
    )


async def _services(api: Client) -> tuple[Any, ...]:
    try:
        return await collected(api.services())
    except ApiForbiddenError:
        return ()  # the public sees agencies and above
