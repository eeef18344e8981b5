"""Compiles a probe definition into the expectations of one target, with its placeholders filled in. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import lru_cache
from string import Template
from typing import TypeVar

from services.core.model import BUS_KINDS, SOAP_KINDS, Expect, Probe, RecordPatterns, fill_placeholders
from services.prober.expected.expectations import (
    ANYTHING,
    Expectations,
    HeaderCheck,
    JsonCheck,
    Records,
    ValuePlace,
    XmlCheck,
)
from services.prober.expected.json_schema import compile_schema
from services.prober.expected.paths import Pattern, compile_path, compile_pattern, compile_xpath

T = TypeVar("T")


def compile_expectations(
    definition: Probe, params: Mapping[str, object], *, latency: float | None, max_age: float | None, zone: tzinfo = UTC
) -> Expectations:
    """Compile what a definition expects, with the params of a link or endpoint; patterns and paths once per text.

    Dates without a time zone are read in ``zone``. Raises ValueError, re2.error, JSONPathError or XPathError for a
    definition that the register should have refused.
    """
    expect = definition.expect
    soap = definition.kind in SOAP_KINDS
    values, xml = _json_checks(expect, params), _xml_checks(expect, params)
    schema = None if expect.schema is None else compile_schema(expect.schema)
    record = _xml_record(expect, params) if soap else _json_record(expect, params)
    source = expect.fresh
    fresh = None if source is None else compile_place(source.path, source.xpath, source.header, expect.namespaces)
    sizes = [check.query.at_once for check in (*values, *xml, *record)]
    sizes += [part.at_once for part in (fresh, schema) if part]
    return Expectations(
        refused=expect.refused,
        status=_set(expect.status),
        headers=tuple(
            HeaderCheck(name.lower(), _pattern_or_none(item.must), _pattern_or_none(item.must_not), item.optional)
            for name, item in expect.headers.items()
        ),
        must=_patterns(expect.body.must),
        must_not=_patterns(expect.body.must_not),
        json=values,
        xml=xml,
        schema=schema,
        record=record,
        soap=soap,
        bus=definition.kind in BUS_KINDS,
        fresh=fresh,
        zone=zone,
        tls=expect.tls,
        certificate_left=expect.certificate_left,
        rcode=_set(expect.rcode),
        authoritative=expect.authoritative,
        answers=_records(expect.answers),
        authority=_records(expect.authority),
        additional=_records(expect.additional),
        latency=latency,
        max_age=max_age,
        at_once=min((size for size in sizes if size is not None), default=None),
    )


@lru_cache(maxsize=8192)
def _set(values: tuple[T, ...]) -> frozenset[T]:
    return frozenset(values)


@lru_cache(maxsize=8192)
def _patterns(texts: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple(map(compile_pattern, texts))


@lru_cache(maxsize=8192)
def _records(given: RecordPatterns) -> Records:
    return Records(_patterns(given.must), _patterns(given.must_not), _patterns(given.every), given.empty)


def _pattern_or_none(text: str) -> Pattern | None:
    return compile_pattern(text) if text else None


def _field(path: str) -> str:
    """Return the path of a field of a test record, which may be written `person.name` instead of `$.person.name`."""
    return path if path.startswith("$") else f"$.{path}"


def compile_place(path: str, xpath: str, header: str, namespaces: Mapping[str, str]) -> ValuePlace:
    """Compile the place of a value: a JSON path, an XPath or a header. Raises JSONPathError and XPathError."""
    return ValuePlace(
        query=compile_path(path) if path else None,
        xpath=compile_xpath(xpath, namespaces) if xpath else None,
        header=header.lower(),
    )


def _json_checks(expect: Expect, params: Mapping[str, object]) -> tuple[JsonCheck, ...]:
    return tuple(
        JsonCheck(
            item.path,
            compile_path(item.path),
            # None in a definition means that the value is not compared. A param may be null, which is compared.
            ANYTHING if item.equals is None else fill_value(item.equals, params),
            item.type,
        )
        for item in expect.json
    )


def _xml_checks(expect: Expect, params: Mapping[str, object]) -> tuple[XmlCheck, ...]:
    return tuple(
        XmlCheck(
            item.path,
            compile_xpath(item.path, expect.namespaces),
            None if item.equals is None else _fill_text(item.equals, params),
        )
        for item in expect.xml
    )


def _json_record(expect: Expect, params: Mapping[str, object]) -> tuple[JsonCheck, ...]:
    return tuple(
        JsonCheck(path, compile_path(_field(path)), fill_value(value, params)) for path, value in expect.record.items()
    )


def _xml_record(expect: Expect, params: Mapping[str, object]) -> tuple[XmlCheck, ...]:
    return tuple(
        XmlCheck(path, compile_xpath(path, expect.namespaces), _fill_text(value, params))
        for path, value in expect.record.items()
    )


def fill_value(value: object, params: Mapping[str, object]) -> object:
    """Fill in the texts of an expected JSON value, at any depth. Raises ValueError when a name is not in ``params``.

    A text that is exactly one placeholder becomes the param itself, so that numbers stay numbers.
    """
    if isinstance(value, str):
        if "$" not in value:
            return value
        match = Template.pattern.fullmatch(value)
        name = match and (match["braced"] or match["named"])
        return params[name] if name and name in params else fill_placeholders(value, params)
    if isinstance(value, Mapping):
        return {key: fill_value(item, params) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_value(item, params) for item in value]
    return value


def _fill_text(value: object, params: Mapping[str, object]) -> str:
    """Fill in an expected value as text for XML, with numbers and flags as JSON writes them.

    Raises ValueError when a name is not in ``params``, or when the value is not a text, a number or a flag.
    """
    if isinstance(value, str):
        return fill_placeholders(value, params)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError("an expected value is neither a text, a number, true nor false")
