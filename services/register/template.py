"""Texts of probe definitions with ``${name}`` in them, filled from a link's or endpoint's params; ``$$`` is a dollar. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from string import Template

from services.core.model import Probe

__all__ = ["fill", "names", "partial_texts", "texts", "value_texts"]


def names(text: str) -> frozenset[str]:
    """Return the names a text asks for. ValueError when a ``$`` is followed by neither a name nor another ``$``."""
    template = Template(text)
    if not template.is_valid():
        raise ValueError("a `$` must begin `${name}`: write `$$` for a dollar")
    return frozenset(template.get_identifiers())


def fill(text: str, params: Mapping[str, object]) -> str:
    """Return the text with its names filled in: texts as they are, numbers and flags as JSON writes them.

    ValueError when a name is not in ``params`` or its value is neither text, number nor flag.
    """
    return Template(text).substitute({name: _written(name, params) for name in sorted(names(text))})


def texts(probe: Probe) -> Iterator[str]:
    """Return the texts of a probe definition that are filled: header values, body, and texts among expected values.

    Target URLs are filled too, and stand with the links and endpoints.
    """
    yield from probe.headers.values()
    yield probe.body
    for value in (*(check.equals for check in probe.expect.json), *probe.expect.record.values()):
        yield from value_texts(value)


def partial_texts(probe: Probe) -> Iterator[str]:
    """Return the texts among expected values with a name in the middle, where only a text, number or flag can stand.

    A text that is one name and nothing else becomes the param itself, of whatever type.
    """
    for value in (*(check.equals for check in probe.expect.json), *probe.expect.record.values()):
        yield from (text for text in value_texts(value) if "$" in text and not Template.pattern.fullmatch(text))


def value_texts(value: object) -> Iterator[str]:
    """Return the texts in a JSON value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from value_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from value_texts(item)


def _written(name: str, params: Mapping[str, object]) -> str:
    if name not in params:
        raise ValueError(f"`{name}` is not among the params")
    value = params[name]
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError(f"`{name}` is not a text, a number, true or false")
