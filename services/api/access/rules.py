"""The door of the api: each call is admitted, or refused, by who asks (docs/design.md §5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from services.api.access.roles import Caller
from services.api.errors import NotVisibleError, RequestError
from services.api.model.read_model import ReadModel
from services.core.model import IndicatorKind, Register

__all__ = ["RULES", "Access", "caller", "not_visible"]

_CALLER: ContextVar[Caller] = ContextVar("caller")

_KINDS = frozenset(int(kind) for kind in IndicatorKind)

Rule = Callable[[Caller, ReadModel, Any], bool]
"""Whether a caller may make this request of a method; requests that make no sense are left to the method to refuse."""


def caller() -> Caller:
    """Return who makes the call under way. LookupError outside of any call."""
    return _CALLER.get()


def not_visible(who: Caller) -> RequestError:
    """Return the refusal of what a caller may not see; it says nothing about whether it exists."""
    return NotVisibleError(
        "NOT_VISIBLE",
        f"this is not for the role {who.role}: the public sees agencies and above, an agency also what is its own; "
        "the operator of the api gives roles to certificates",
        role=who.role,
        agency=who.agency,
    )


def _everybody(_: Caller, __: ReadModel, ___: Any) -> bool:
    return True


def _entity(who: Caller, model: ReadModel, request: Any) -> bool:
    return _sees(who, model, request.kind, (request.id,))


def _entities(who: Caller, model: ReadModel, request: Any) -> bool:
    return _lists(who, model, request) and _sees(who, model, request.kind, request.ids)


def _lists(who: Caller, _: ReadModel, request: Any) -> bool:
    return request.kind not in _KINDS or who.lists(IndicatorKind(request.kind))


def _link(who: Caller, model: ReadModel, request: Any) -> bool:
    return _sees(who, model, IndicatorKind.LINK, (request.link,))


def _links(who: Caller, _: ReadModel, __: Any) -> bool:
    return who.lists(IndicatorKind.LINK)


def _services(who: Caller, _: ReadModel, __: Any) -> bool:
    return who.lists(IndicatorKind.SERVICE)


def _sees(who: Caller, model: ReadModel, kind: int, ids: Iterable[str]) -> bool:
    if kind not in _KINDS:
        return True
    register: Register = model.view.register
    return all(who.sees(IndicatorKind(kind), one, register) for one in ids)


RULES: Mapping[str, Rule] = {
    "GetIndicator": _entity,
    "ListIndicators": _lists,
    "ExplainIndicator": _entity,
    "GetHistory": _entity,
    "WatchIndicators": _entities,
    "GetStructure": _everybody,
    "ListLinks": _links,
    "GetLink": _link,
    "TabulateIndicators": _everybody,
    "GetTraffic": _everybody,
    "GetRegister": _everybody,
    "ListAgencies": _everybody,
    "ListServices": _services,
    "ListEvaluationRounds": _everybody,
}
"""By method; one that is not here is for auditors alone. Lists leave out what their caller does not see."""


class Access:
    """Admits calls. ``identify`` says who makes one, from the context of the call."""

    def __init__(self, model: ReadModel, identify: Callable[[Any], Caller]) -> None:
        self._model = model
        self._identify = identify

    def admit(self, method: str, request: Any, context: Any) -> None:
        """Take note of who makes this call. Raises RequestError when they may not."""
        who = self._identify(context)
        _CALLER.set(who)
        if who.sees_everything:
            return
        rule = RULES.get(method)
        if rule is None or not rule(who, self._model, request):
            raise not_visible(who)
