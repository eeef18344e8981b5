"""Defines callers and what they may see, and admits calls by role (docs/design.md §5.4).

Link targets and failure details are an attack map. The *public* sees agencies and above. An *agency* also sees its own
services, endpoints and links, as consumer and as provider. An *auditor* sees everything. A *console* makes calls for
readers of its pages: it names the reader's role in the metadata of a call. Without one it sees what the public sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from services.api.errors import InvalidRequestError, NotVisibleError
from services.api.model import ReadModel, RegisterView
from services.core.model import IndicatorKind, Register

PUBLIC_KINDS = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
"""Kinds of indicator that every caller sees."""


SUBJECTS = (IndicatorKind.CONSUMER, IndicatorKind.LINK, IndicatorKind.ENDPOINT)
"""Kinds of entity that maintenance is announced for; an agency counts as consumer."""

ROLE_KEY = "peyvand-role"
"""The key of metadata in which a console names the role that a call is made for: public, agency:ID or auditor."""


class Role(StrEnum):
    """The role of a caller."""

    PUBLIC = "public"
    AGENCY = "agency"
    AUDITOR = "auditor"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller; ``agency`` is the id of its agency, empty for the other roles.

    ``most`` is the caller with the most rights that it may make calls for, None when it makes only its own. ``peer``
    tells it from others with its role: its certificate, or its address when it shows none.
    """

    role: Role
    agency: str = ""
    most: Caller | None = None
    peer: str = field(default="", compare=False)

    @property
    def sees_everything(self) -> bool:
        """Whether nothing is hidden from it."""
        return self.role is Role.AUDITOR

    def lists(self, kind: IndicatorKind) -> bool:
        """Return whether it may list entities of this kind; the list leaves out those it may not see."""
        return kind in PUBLIC_KINDS or self.role in (Role.AGENCY, Role.AUDITOR)

    def sees(self, kind: IndicatorKind, entity: str, register: Register) -> bool:
        """Return whether it may see one entity. An entity that the register does not have belongs to no agency."""
        if self.sees_everything or kind in PUBLIC_KINDS:
            return True
        return self.role is Role.AGENCY and self.agency in _owners(kind, entity, register)

    def visible(self, kind: IndicatorKind, ids: Sequence[str], view: RegisterView) -> Sequence[str]:
        """Return the entities in ``ids`` for which ``sees`` is true, in their order; ``ids`` are of the register.

        A federation has a million links, and an agency sees a few hundred of them.
        """
        if self.sees_everything or kind in PUBLIC_KINDS:
            return ids
        own = view.own(kind, self.agency) if self.role is Role.AGENCY else ()
        return [entity for entity in ids if entity in own] if own else ()

    def sees_subject(self, subject: str, register: Register) -> bool:
        """Return whether it may see announcements about an agency, link or endpoint."""
        kinds = (IndicatorKind.LINK, IndicatorKind.ENDPOINT)
        return subject in register.agencies or any(self.sees(kind, subject, register) for kind in kinds)

    def acting_as(self, named: str) -> Caller:
        """Return the caller of a role named in metadata. Raises RequestError when it may not act for that one."""
        try:
            other = parse_role(named)
        except ValueError as error:
            raise InvalidRequestError("ROLE_UNKNOWN", str(error), role=named) from error
        if self.most is None or not self.most.covers(other):
            raise NotVisibleError(
                "ROLE_NOT_GIVEN",
                f"the role {self.role} may not make calls for {named}: the operator of the api gives that to consoles",
                role=self.role,
            )
        return replace(other, peer=self.peer)

    def covers(self, other: Caller) -> bool:
        """Return whether it sees everything that another sees."""
        return self.sees_everything or other in (PUBLIC, self)


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


def parse_role(text: str) -> Caller:
    """Return the caller that ``public``, ``agency:ID`` or ``auditor`` names. Raises ValueError for any other text."""
    role, colon, agency = text.partition(":")
    if role in (Role.PUBLIC, Role.AUDITOR) and not colon:
        return Caller(Role(role))
    if role == Role.AGENCY and agency:
        return Caller(Role.AGENCY, agency)
    raise ValueError(f"`{text}` is not public, agency:ID or auditor")


PUBLIC = Caller(Role.PUBLIC)
"""A caller without a listed certificate."""

UNRESTRICTED = Caller(Role.AUDITOR, most=Caller(Role.AUDITOR))
"""Every caller of an api that is not encrypted: the embedded default, which listens on loopback."""


_CALLER: ContextVar[Caller] = ContextVar("caller")

_KINDS = frozenset(map(int, IndicatorKind))

Rule = Callable[[Caller, ReadModel, Any], bool]
"""Whether a caller may make this request of a method. The method itself refuses requests that make no sense."""


def current_caller() -> Caller:
    """Return the caller of the call under way. Raises LookupError outside of any call."""
    return _CALLER.get()


def not_visible(caller: Caller) -> NotVisibleError:
    """Return the error for an entity that a caller may not see; it does not reveal whether the entity exists."""
    return NotVisibleError(
        "NOT_VISIBLE",
        f"this is not for the role {caller.role}: the public sees agencies and above, an agency also what is its own; "
        "the operator of the api gives roles to certificates",
        role=caller.role,
        agency=caller.agency,
    )


def _kind(caller: Caller, _: ReadModel, request: Any) -> bool:
    return request.kind not in _KINDS or caller.lists(IndicatorKind(request.kind))


def _sees(caller: Caller, model: ReadModel, kind: int, ids: Iterable[str]) -> bool:
    if kind not in _KINDS:
        return True
    register = model.view.register
    return all(caller.sees(IndicatorKind(kind), entity, register) for entity in ids)


def _entity(caller: Caller, model: ReadModel, request: Any) -> bool:
    return _sees(caller, model, request.kind, (request.id,))


def _links(caller: Caller, model: ReadModel, request: Any) -> bool:
    """Refuse a service without a link that the caller sees, whether the register has it or not."""
    if not caller.lists(IndicatorKind.LINK):
        return False
    view, service = model.view, request.service
    return (
        not service
        or caller.sees(IndicatorKind.SERVICE, service, view.register)
        or any(
            caller.sees(IndicatorKind.LINK, link, view.register) for link in view.links_by["service"].get(service, ())
        )
    )


def _everybody(_: Caller, __: ReadModel, ___: Any) -> bool:
    return True


RULES: Mapping[str, Rule] = {
    "GetIndicator": _entity,
    "ListIndicators": _kind,
    "ExplainIndicator": _entity,
    "GetHistory": _entity,
    "WatchIndicators": lambda caller, model, request: (
        _kind(caller, model, request) and _sees(caller, model, request.kind, request.ids)
    ),
    "GetStructure": _everybody,
    "ListLinks": _links,
    "GetLink": lambda caller, model, request: _sees(caller, model, IndicatorKind.LINK, (request.link,)),
    "GetAgency": _everybody,
    "TabulateIndicators": _everybody,
    "GetTraffic": _everybody,
    "ListPairs": _everybody,
    "GetMonitoring": _everybody,
    "ListFindings": lambda caller, model, request: (
        not request.link or _sees(caller, model, IndicatorKind.LINK, (request.link,))
    ),
    "GetRegister": _everybody,
    "ListAgencies": _everybody,
    "ListServices": lambda caller, _, __: caller.lists(IndicatorKind.SERVICE),
    "ListEvaluationRounds": _everybody,
    "ListFrozenRounds": _everybody,
    "ListAnnouncements": _everybody,
    "ListObjections": lambda caller, model, request: (
        caller.lists(IndicatorKind.LINK)
        and (not request.link or _sees(caller, model, IndicatorKind.LINK, (request.link,)))
    ),
    "ListMaintenance": lambda caller, model, request: (
        not request.subject or caller.sees_subject(request.subject, model.view.register)
    ),
    "Search": _everybody,
    "Check": _everybody,
    "List": _everybody,
    "Watch": _everybody,
    "ServerReflectionInfo": _everybody,
}
"""The rule of each method. A method without a rule is for auditors alone; lists leave out what a caller may not see."""


class AccessControl:
    """Admits calls. ``identify`` returns the caller from the context of a call, or raises RequestError."""

    def __init__(self, model: ReadModel, identify: Callable[[Any], Caller]) -> None:
        self._model = model
        self._identify = identify

    def identify(self, context: Any) -> Caller:
        """Return the caller that a call is made for. Raises RequestError when it may not be made for that one."""
        caller = self._identify(context)
        for named in (value for key, value in context.invocation_metadata() or () if key == ROLE_KEY):
            caller = caller.acting_as(named)  # the new caller may not act for others, so a second name is refused
        return caller

    def check(self, context: Any) -> None:
        """Raise RequestError when the certificate of a call under way has been revoked meanwhile."""
        self._identify(context)

    def admit(self, method: str, request: Any, caller: Caller) -> None:
        """Set the current caller. Raises RequestError when the caller may not make this request."""
        _CALLER.set(caller)
        if caller.sees_everything:
            return
        rule = RULES.get(method)
        if rule is None or not rule(caller, self._model, request):
            raise not_visible(caller)
