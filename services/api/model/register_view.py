"""Indexes the register in force for requests: entities by kind and sector, links by their parties."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property

from services.api.errors import InvalidRequestError, UnknownEntityError
from services.core.bus import GOVERNMENT_KEY
from services.core.model import IndicatorKind, Objection, Register
from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.requirements import has_index
from services.register.attribution import Attributor

_NOUNS = {IndicatorKind.CONSUMER: "agency", IndicatorKind.PROVIDER: "agency"}


def agency_block_key(agency: str) -> str:
    """Return the key of an agency's block in the read model."""
    return f"consumer.{agency}"


class RegisterView:
    """One version of the register; each index is built when first needed.

    ``published`` is when it was published, in epoch seconds, None when unknown.
    """

    def __init__(self, register: Register, published: float | None = None) -> None:
        self.register = register
        self.published = published
        self.calendar = Calendar.of(register.policy)
        self._ids: dict[tuple[IndicatorKind, str], tuple[str, ...]] = {}

    @cached_property
    def arrays(self) -> RegisterArrays:
        """The register as arrays, for explanations."""
        return RegisterArrays.of(self.register)

    @cached_property
    def attributor(self) -> Attributor:
        """Attributes the parties that a data bus logs to agencies and links."""
        return Attributor(self.register)

    def position(self, link: str) -> int:
        """Return the position of a link of the register in ``arrays``."""
        return bisect_left(self.arrays.links, link)

    @cached_property
    def consumers(self) -> frozenset[str]:
        """Every agency that must make an inquiry."""
        return frozenset(map(self.register.consumer, self.register.links.values()))

    @cached_property
    def consumer_keys(self) -> frozenset[str]:
        """The keys of the agencies' blocks."""
        return frozenset(map(agency_block_key, self.register.agencies))

    @cached_property
    def sectors(self) -> tuple[str, ...]:
        """Every sector, sorted."""
        return tuple(sorted({agency.sector for agency in self.register.agencies.values()}))

    @cached_property
    def links_by(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Sorted link ids by ``consumer``, ``provider`` and ``service``, each by id."""
        groups: dict[str, defaultdict[str, list[str]]] = {
            role: defaultdict(list) for role in ("consumer", "provider", "service")
        }
        for link in sorted(self.register.links.values(), key=lambda link: link.id):
            groups["consumer"][self.register.consumer(link)].append(link.id)
            groups["provider"][link.provider].append(link.id)
            groups["service"][link.service].append(link.id)
        return {role: {entity: tuple(ids) for entity, ids in group.items()} for role, group in groups.items()}

    @cached_property
    def services_of(self) -> dict[str, tuple[str, ...]]:
        """Sorted ids of services by agency."""
        services: defaultdict[str, list[str]] = defaultdict(list)
        for service in self.ids(IndicatorKind.SERVICE):
            services[self.register.services[service].agency].append(service)
        return {agency: tuple(ids) for agency, ids in services.items()}

    @cached_property
    def links_absent(self) -> int:
        """How many links are absent."""
        return sum(link.absent for link in self.register.links.values())

    @cached_property
    def links_with_legal_basis(self) -> int:
        """How many links the register cites a legal basis for."""
        return sum(link.legal_basis is not None for link in self.register.links.values())

    @cached_property
    def objections(self) -> dict[str, list[Objection]]:
        """Objections by link, in order of time."""
        objections: defaultdict[str, list[Objection]] = defaultdict(list)
        for objection in self.register.objections:
            objections[objection.link].append(objection)
        return dict(objections)

    def window(self, days: int) -> int:
        """Return a window of the policy, the default for 0. Raises RequestError for one that the policy does not have."""
        policy = self.register.policy
        if days == 0:
            return policy.default_window
        if days not in policy.windows_days:
            windows = ", ".join(map(str, policy.windows_days))
            raise InvalidRequestError(
                "WINDOW_UNKNOWN",
                f"there is no window of {days} days: the policy has {windows}",
                window_days=str(days),
                windows_days=windows,
            )
        return days

    def entity(self, kind: IndicatorKind, entity: str) -> str:
        """Return an id of the register, the government's for "". Raises RequestError for one that it does not have."""
        if kind is IndicatorKind.GOVERNMENT and not entity:
            return self.register.policy.government.id
        noun = _NOUNS.get(kind, kind.label)
        if not entity:
            raise InvalidRequestError("ID_MISSING", f"a {kind.label} needs an id: name one")
        if not self.knows(kind, entity):
            raise UnknownEntityError(
                f"{noun.upper()}_UNKNOWN",
                f"the register in force knows no {noun} `{entity}`",
                **{noun: entity, "register_version": self.register.register_version},
            )
        return entity

    def knows(self, kind: IndicatorKind, entity: str) -> bool:
        """Return whether the register has this entity."""
        return entity in self._entities(kind)

    def ids(self, kind: IndicatorKind, sector: str = "") -> tuple[str, ...]:
        """Return the sorted ids of a kind, of one sector only unless it is ""."""
        key = kind, sector
        if key not in self._ids:
            agencies, entities = self.register.agencies, self._entities(kind)
            if sector:
                entities = [entity for entity in entities if agencies[self._agency(kind, entity)].sector == sector]
            self._ids[key] = tuple(sorted(entities))
        return self._ids[key]

    def own(self, kind: IndicatorKind, agency: str) -> frozenset[str]:
        """Return the services or endpoints of an agency, or the links in which it is consumer or provider."""
        match kind:
            case IndicatorKind.SERVICE:
                return frozenset(self.services_of.get(agency, ()))
            case IndicatorKind.LINK:
                return frozenset(
                    link for role in ("consumer", "provider") for link in self.links_by[role].get(agency, ())
                )
            case IndicatorKind.ENDPOINT:
                return frozenset(one.id for one in self.register.endpoints.values() if one.agency == agency)
            case _:
                return frozenset()

    def _entities(self, kind: IndicatorKind) -> Collection[str]:
        register = self.register
        match kind:
            case IndicatorKind.GOVERNMENT:
                return (register.policy.government.id,)
            case IndicatorKind.SECTOR:
                return self.sectors
            case IndicatorKind.CONSUMER | IndicatorKind.PROVIDER:
                return register.agencies
            case IndicatorKind.SERVICE:
                return register.services
            case IndicatorKind.LINK:
                return register.links
            case IndicatorKind.ENDPOINT:
                return register.endpoints

    def _agency(self, kind: IndicatorKind, entity: str) -> str:
        """Return the agency that an entity belongs to, or the entity itself when it belongs to none."""
        register = self.register
        match kind:
            case IndicatorKind.SERVICE:
                return register.services[entity].agency
            case IndicatorKind.LINK:
                return register.consumer(register.links[entity])
            case IndicatorKind.ENDPOINT:
                return register.endpoints[entity].agency
            case _:
                return entity

    def block_key(self, kind: int, entity: str) -> str | None:
        """Return the key of the block with an entity's indicator, None for an entity that the register does not have."""
        try:
            parsed = IndicatorKind(kind)
            agency = self._agency(parsed, entity)
        except (ValueError, KeyError):
            return None
        above = parsed in (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.PROVIDER)
        return GOVERNMENT_KEY if above else agency_block_key(agency)

    def links(self, *, consumer: str = "", provider: str = "", service: str = "") -> Sequence[str]:
        """Return the sorted ids of the links that match every filter given. Raises RequestError for unknown ids."""
        groups: list[tuple[str, ...]] = []
        for role, entity in (("consumer", consumer), ("provider", provider), ("service", service)):
            if entity:
                self.entity(IndicatorKind.SERVICE if role == "service" else IndicatorKind.CONSUMER, entity)
                groups.append(self.links_by[role].get(entity, ()))
        if not groups:
            return self.ids(IndicatorKind.LINK)
        if len(groups) == 1:
            return groups[0]
        smallest = min(groups, key=len)
        return [
            link.id
            for link in map(self.register.links.__getitem__, smallest)
            if consumer in ("", self.register.consumer(link))
            and provider in ("", link.provider)
            and service in ("", link.service)
        ]

    def requires_nothing(self, kind: IndicatorKind, entity: str) -> bool:
        """Return whether the register lists no link at all for this entity, which therefore never has an indicator."""
        match kind:
            case IndicatorKind.CONSUMER | IndicatorKind.PROVIDER | IndicatorKind.SERVICE:
                return entity not in self.links_by[kind.label]
            case IndicatorKind.SECTOR:
                return not self.ids(IndicatorKind.LINK, entity)
            case IndicatorKind.GOVERNMENT:
                return not self.register.links
            case IndicatorKind.LINK | IndicatorKind.ENDPOINT:
                return False

    def has_index(self, as_of: float) -> bool:
        """Return whether a link that weighs anything is in force in any window that ends at ``as_of`` (epoch seconds)."""
        return has_index(self.register, self.calendar, max(self.register.policy.windows_days), as_of)
