"""Placeholders ``${name}`` in texts of probe definitions, filled from the params of a link or endpoint. Pure.

``$$`` stands for a dollar.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from string import Template

from services.core.model.probe import SOAP_KINDS, Probe


def placeholders(text: str) -> frozenset[str]:
    """Return the names of placeholders in a text.

    Raises ValueError when a ``$`` begins neither a placeholder nor ``$$``.
    """
    template = Template(text)
    if not template.is_valid():
        raise ValueError("a `$` must begin `${name}`: write `$$` for a dollar")
    return frozenset(template.get_identifiers())


def fill_placeholders(text: str, params: Mapping[str, object]) -> str:
    """Return the text with its placeholders filled: texts as they are, numbers and flags as in JSON.

    Raises ValueError when a name is not in ``params`` or its value is neither text, number nor flag.
    """
    return Template(text).substitute({name: _text_of(name, params) for name in sorted(placeholders(text))})


def fill_probe(probe: Probe, params: Mapping[str, object]) -> Probe:
    """Return the definition with the texts that are sent filled in. Raises ValueError as fill_placeholders does.

    Expectations are filled when they are compiled, the steps of a journey when they run.
    """

    def filled(text: str) -> str:
        return fill_placeholders(text, params) if "$" in text else text

    return replace(
        probe,
        headers={name: filled(text) for name, text in probe.headers.items()},
        body=filled(probe.body),
        action=filled(probe.action),
        client=filled(probe.client),
        service=filled(probe.service),
        user_id=filled(probe.user_id),
        lines=tuple(replace(line, send=filled(line.send)) for line in probe.lines),
        query=replace(probe.query, name=filled(probe.query.name)),
    )


def sent_texts(probe: Probe) -> Iterator[str]:
    """Yield the texts of a probe definition that are sent, which ``fill_probe`` fills."""
    yield from probe.headers.values()
    yield from (probe.body, probe.action, probe.client, probe.service, probe.user_id, probe.query.name)
    yield from (line.send for line in probe.lines)


def template_texts(probe: Probe) -> Iterator[str]:
    """Yield the texts of a probe definition that may hold placeholders: those sent, and those in expected values.

    Target URLs may hold them too; these belong to links, endpoints and the steps of a journey.
    """
    yield from sent_texts(probe)
    for value in (*_expected_json(probe), *_expected_xml(probe)):
        yield from value_texts(value)


def partial_texts(probe: Probe) -> Iterator[str]:
    """Yield the texts in expected values whose placeholders only a text, number or flag can fill.

    These are all texts compared with XML, and the texts compared with JSON that are more than a single placeholder. A
    text that is just one placeholder becomes the param itself, of whatever type.
    """
    for value in _expected_json(probe):
        yield from (text for text in value_texts(value) if "$" in text and not Template.pattern.fullmatch(text))
    for value in _expected_xml(probe):
        yield from value_texts(value)


def _expected_json(probe: Probe) -> Iterator[object]:
    yield from (check.equals for check in probe.expect.json)
    if probe.kind not in SOAP_KINDS:
        yield from probe.expect.record.values()


def _expected_xml(probe: Probe) -> Iterator[object]:
    yield from (check.equals for check in probe.expect.xml)
    if probe.kind in SOAP_KINDS:
        yield from probe.expect.record.values()


def value_texts(value: object) -> Iterator[str]:
    """Yield the texts in a JSON value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from value_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from value_texts(item)


def _text_of(name: str, params: Mapping[str, object]) -> str:
    if name not in params:
        raise ValueError(f"`{name}` is not among the params")
    value = params[name]
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError(f"`{name}` is not a text, a number, true or false")
