"""Callers and what they may see (docs/design.md §5.4). Pure.

Link targets and failure details are an attack map. The *public* sees agencies and above; an *agency* also its own services,
endpoints and links, as consumer and as provider; an *auditor* sees everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.core.model import IndicatorKind, Register

PUBLIC_KINDS = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
"""Kinds of indicator that every caller sees."""


class Role(StrEnum):
    """What a caller is."""

    PUBLIC = "public"
    AGENCY = "agency"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller; ``agency`` is the id of its agency, empty for the other roles."""

    role: Role
    agency: str = ""

    @property
    def sees_everything(self) -> bool:
        """Whether nothing is hidden from it."""
        return self.role is Role.AUDITOR

    def lists(self, kind: IndicatorKind) -> bool:
        """Whether it may list entities of this kind; the list leaves out those it may not see."""
        return kind in PUBLIC_KINDS or self.role is not Role.PUBLIC

    def sees(self, kind: IndicatorKind, entity: str, register: Register) -> bool:
        """Whether it may see one entity. An entity that the register does not have belongs to no agency."""
        if self.sees_everything or kind in PUBLIC_KINDS:
            return True
        return self.role is Role.AGENCY and self.agency in _owners(kind, entity, register)


def _owners(kind: IndicatorKind, entity: str, register: Register) -> tuple[str, ...]:
    match kind:
        case IndicatorKind.SERVICE:
            service = register.services.get(entity)
            return () if service is None else (service.agency,)
        case IndicatorKind.LINK:
            link = register.links.get(entity)
            return () if link is None else (register.consumer(link), link.provider)
        case IndicatorKind.ENDPOINT:
            endpoint = register.endpoints.get(entity)
            return () if endpoint is None else (endpoint.agency,)
        case _:
            return ()


UNRESTRICTED = Caller(Role.AUDITOR)
"""Every caller of an api that is not encrypted: the embedded default, which listens on loopback."""

PUBLIC = Caller(Role.PUBLIC)
"""A caller without a certificate that is listed."""
