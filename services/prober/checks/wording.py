"""Checks in words, for `peyvand probe`. Pure.

Expected values are left out, since params and captured values are among them; patterns and paths are shown as written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from services.prober.checks.registry import Check
from services.prober.expected import ANYTHING, Expectations, HeaderCheck, JsonCheck, Pattern, Records, XmlCheck
from services.prober.observation import Observation


def single_items(
    check: Check, observation: Observation, expectations: Expectations
) -> Iterator[tuple[str, Expectations]]:
    """Yield each item that a check expects, in words, with the expectations of that item alone.

    Without items, yield what the check requires of every observation that has its fact.
    """
    empty: dict[str, Any] = {
        name: type(value)() for name, value in _values(expectations) if isinstance(value, tuple | Records)
    }
    without_items = replace(expectations, **empty)
    has_items = False
    for name in check.reads:
        for words, items in _items(check, name, getattr(expectations, name)):
            has_items = True
            single: dict[str, Any] = {name: items}
            yield words, replace(without_items, **single)
    if not has_items and (getattr(observation, check.about) if check.about else not check.reads):
        yield check.words, without_items


def _values(expectations: Expectations) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(expectations, field.name)) for field in fields(expectations))


def _items(check: Check, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, tuple):
        for item in value:
            yield _in_words(name, item), (item,)
    elif isinstance(value, Records):
        section = "answer" if name == "answers" else name
        for pattern in value.must_not:
            yield f"no {section} record matches {pattern.text}", Records(must_not=(pattern,))
        for pattern in value.must:
            yield f"some {section} record matches {pattern.text}", Records(must=(pattern,))
    elif isinstance(value, frozenset) and value:
        yield f"{check.title} is {' or '.join(map(str, sorted(value)))}", value
    elif value:
        yield check.words, value


def _in_words(name: str, item: object) -> str:
    if isinstance(item, HeaderCheck):
        words = [f"matches {item.must.text}"] if item.must else []
        words += [f"does not match {item.must_not.text}"] if item.must_not else []
        return f"header {item.name} {' and '.join(words) or 'is there'}{', if it is there' if item.optional else ''}"
    if isinstance(item, Pattern):
        return f"body {'matches' if name == 'must' else 'does not match'} {item.text}"
    if isinstance(item, JsonCheck | XmlCheck):
        words = [f"is of type {item.type}"] if isinstance(item, JsonCheck) and item.type else []
        any_value = ANYTHING if isinstance(item, JsonCheck) else None
        words += [] if item.equals is any_value else ["is as expected"]
        return f"{'record: ' if 'record' in name else ''}{item.path} {' and '.join(words) or 'is found'}"
    return name


def seen(check: Check, observation: Observation) -> str:
    """Return what was seen if that is neither secret nor personal, else an empty text."""
    if check.title == "status":
        return str(observation.status)
    if check.title == "secure":
        return observation.tls_version
    if check.title == "call" and observation.rpc:
        return " ".join(filter(None, (observation.rpc.code, observation.rpc.serving)))
    return observation.dns.rcode if check.title == "response code" and observation.dns else ""
