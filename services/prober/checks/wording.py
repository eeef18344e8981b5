"""What a check asks for, in words for a person. Pure.

Expected values are left out, since params and what a journey captured are among them; patterns and paths stand as written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from services.prober.checks.registry import Check
from services.prober.expected import ANYTHING, Expectations, HeaderCheck, JsonCheck, Pattern, Records, XmlCheck
from services.prober.observation import Observation

__all__ = ["found", "parts"]

_DEFAULTS: Final[Mapping[str, str]] = {
    "answered": "an answer came",
    "call": "the call succeeded",
    "answered by the target": "neither a server error nor a refusal",
    "status": "status is 2xx",
    "whole": "the answer is whole",
    "response code": "response code is NOERROR",
}
_SINGLE: Final[Mapping[str, str]] = {
    "data bus": "the provider answered, not the data bus",
    "secure": "over TLS",
    "schema": "body follows the JSON Schema",
    "fault": "no SOAP fault",
    "envelope": "body is a SOAP message",
}


def parts(check: Check, observation: Observation, expectations: Expectations) -> Iterator[tuple[str, Expectations]]:
    """Split a check into the single items it expects: what each asks for, and the expectations with that item alone.

    Without items there is what holds by itself, where the observation has what the check is about.
    """
    empty: dict[str, Any] = {
        name: type(value)() for name, value in _values(expectations) if isinstance(value, tuple | Records)
    }
    alone = replace(expectations, **empty)
    some = False
    for name in check.reads:
        for words, items in _items(check, name, getattr(expectations, name)):
            some = True
            single: dict[str, Any] = {name: items}
            yield words, replace(alone, **single)
    if not some and (getattr(observation, check.about) if check.about else not check.reads):
        yield _DEFAULTS.get(check.title, check.title), alone


def _values(expectations: Expectations) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(expectations, field.name)) for field in fields(expectations))


def _items(check: Check, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, tuple):
        for item in value:
            yield _asked(name, item), (item,)
    elif isinstance(value, Records):
        section = "answer" if name == "answers" else name
        for pattern in value.must_not:
            yield f"no {section} record matches {pattern.text}", Records(must_not=(pattern,))
        for pattern in value.must:
            yield f"some {section} record matches {pattern.text}", Records(must=(pattern,))
    elif isinstance(value, frozenset) and value:
        yield f"{check.title} is {' or '.join(str(one) for one in sorted(value))}", value
    elif value:
        yield _SINGLE.get(check.title, check.title), value


def _asked(name: str, item: object) -> str:
    if isinstance(item, HeaderCheck):
        asked = [f"matches {item.must.text}"] if item.must else []
        asked += [f"does not match {item.must_not.text}"] if item.must_not else []
        return f"header {item.name} {' and '.join(asked) or 'is there'}{', if it is there' if item.optional else ''}"
    if isinstance(item, Pattern):
        return f"body {'matches' if name == 'must' else 'does not match'} {item.text}"
    if isinstance(item, JsonCheck | XmlCheck):
        asked = [f"is of type {item.type}"] if isinstance(item, JsonCheck) and item.type else []
        unasked = ANYTHING if isinstance(item, JsonCheck) else None
        asked += [] if item.equals is unasked else ["is as expected"]
        return f"{'record: ' if 'record' in name else ''}{item.path} {' and '.join(asked) or 'is found'}"
    return name


def found(check: Check, observation: Observation) -> str:
    """Say what was found, where that is neither secret nor personal; empty elsewhere."""
    if check.title == "status":
        return str(observation.status)
    if check.title == "secure":
        return observation.tls_version
    if check.title == "call" and observation.rpc:
        return " ".join(filter(None, (observation.rpc.code, observation.rpc.serving)))
    return observation.dns.rcode if check.title == "response code" and observation.dns else ""
