"""The register in force, arranged for questions: who is known, in which sector, with which links."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from services.api.errors import InvalidRequestError, UnknownEntityError
from services.core.model import IndicatorKind, Link, Register
from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays

__all__ = ["RegisterView"]

_NOUN = {IndicatorKind.CONSUMER: "agency", IndicatorKind.PROVIDER: "agency"}


class RegisterView:
    """One version of the register with its look-ups, each made once when first needed.

    ``published`` is when it was published, in epoch seconds, where that is known.
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

    def position(self, link: str) -> int:
        """Return where in the register a link of the register is."""
        return bisect_left(self.arrays.links, link)

    @cached_property
    def consumers(self) -> frozenset[str]:
        """Every agency that has to make an inquiry."""
        return frozenset(map(self.register.consumer, self.register.links.values()))

    @cached_property
    def sectors(self) -> tuple[str, ...]:
        """Every sector, sorted."""
        return tuple(sorted({agency.sector for agency in self.register.agencies.values()}))

    @cached_property
    def links_by(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Sorted link ids by ``consumer``, ``provider`` and ``service``, each by id."""
        found: dict[str, defaultdict[str, list[str]]] = {
            role: defaultdict(list) for role in ("consumer", "provider", "service")
        }
        for link in sorted(self.register.links.values(), key=lambda link: link.id):
            found["consumer"][self.register.consumer(link)].append(link.id)
            found["provider"][link.provider].append(link.id)
            found["service"][link.service].append(link.id)
        return {role: {one: tuple(ids) for one, ids in groups.items()} for role, groups in found.items()}

    def window(self, asked: int) -> int:
        """Return the window asked for, 0 being the policy's default. Raises RequestError for one it does not have."""
        policy = self.register.policy
        if asked == 0:
            return policy.default_window
        if asked not in policy.windows_days:
            has = ", ".join(str(days) for days in policy.windows_days)
            raise InvalidRequestError(
                "WINDOW_UNKNOWN",
                f"there is no window of {asked} days: the policy has {has}",
                window_days=str(asked),
                windows_days=has,
            )
        return asked

    def entity(self, kind: IndicatorKind, asked: str) -> str:
        """Return the id asked for, the government's when empty. Raises RequestError for one the register does not know."""
        if kind is IndicatorKind.GOVERNMENT and not asked:
            return self.register.policy.government.id
        noun = _NOUN.get(kind, kind.label)
        if not asked:
            raise InvalidRequestError("ID_MISSING", f"a {kind.label} is asked for without an id: name one")
        if not self.knows(kind, asked):
            raise UnknownEntityError(
                f"{noun.upper()}_UNKNOWN",
                f"the register in force knows no {noun} `{asked}`",
                **{noun: asked, "register_version": self.register.register_version},
            )
        return asked

    def knows(self, kind: IndicatorKind, entity: str) -> bool:
        """Whether the register in force has this entity."""
        register = self.register
        match kind:
            case IndicatorKind.GOVERNMENT:
                return entity == register.policy.government.id
            case IndicatorKind.SECTOR:
                return entity in self.sectors
            case IndicatorKind.CONSUMER | IndicatorKind.PROVIDER:
                return entity in register.agencies
            case IndicatorKind.SERVICE:
                return entity in register.services
            case IndicatorKind.LINK:
                return entity in register.links
            case IndicatorKind.ENDPOINT:
                return entity in register.endpoints

    def ids(self, kind: IndicatorKind, sector: str = "") -> tuple[str, ...]:
        """Return the sorted ids of a kind, those of one sector only if one is given."""
        key = kind, sector
        if key not in self._ids:
            owners = self._owners(kind)
            agencies = self.register.agencies
            self._ids[key] = tuple(
                sorted(one for one, owner in owners.items() if not sector or agencies[owner].sector == sector)
            )
        return self._ids[key]

    def _owners(self, kind: IndicatorKind) -> dict[str, str]:
        """The agency behind each entity of a kind; those without one (government, sectors) own themselves."""
        register = self.register
        match kind:
            case IndicatorKind.GOVERNMENT:
                return {register.policy.government.id: ""}
            case IndicatorKind.SECTOR:
                return dict.fromkeys(self.sectors, "")
            case IndicatorKind.CONSUMER | IndicatorKind.PROVIDER:
                return {agency: agency for agency in register.agencies}
            case IndicatorKind.SERVICE:
                return {service.id: service.agency for service in register.services.values()}
            case IndicatorKind.LINK:
                return {link.id: register.consumer(link) for link in register.links.values()}
            case IndicatorKind.ENDPOINT:
                return {endpoint.id: endpoint.agency for endpoint in register.endpoints.values()}

    def links(self, *, consumer: str = "", provider: str = "", service: str = "") -> Sequence[str]:
        """Return the sorted ids of the links that match every filter given. Raises RequestError for unknown ids."""
        wanted = {"consumer": consumer, "provider": provider, "service": service}
        groups: list[tuple[str, ...]] = []
        for role, entity in wanted.items():
            if entity:
                self.entity(IndicatorKind.SERVICE if role == "service" else IndicatorKind.CONSUMER, entity)
                groups.append(self.links_by[role].get(entity, ()))
        if not groups:
            return self.ids(IndicatorKind.LINK)
        smallest = min(groups, key=len)
        return [one for one in smallest if self._matches(self.register.links[one], consumer, provider, service)]

    def _matches(self, link: Link, consumer: str, provider: str, service: str) -> bool:
        return (
            (not consumer or self.register.consumer(link) == consumer)
            and (not provider or link.provider == provider)
            and (not service or link.service == service)
        )

    def requires_nothing(self, kind: IndicatorKind, entity: str) -> bool:
        """Whether the register lists no link at all for this entity, which therefore never has an indicator."""
        match kind:
            case IndicatorKind.CONSUMER | IndicatorKind.PROVIDER | IndicatorKind.SERVICE:
                return entity not in self.links_by[kind.label]
            case IndicatorKind.SECTOR:
                return not self.ids(IndicatorKind.LINK, entity)
            case IndicatorKind.GOVERNMENT:
                return not self.register.links
            case IndicatorKind.LINK | IndicatorKind.ENDPOINT:
                return False
