"""Expectations of one target, compiled: patterns, paths, schemas, limits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import re2

from services.core.model import BUS_KINDS, SOAP_KINDS, Expect, Fresh, Probe
from services.prober.expected.cost import least
from services.prober.expected.json_schema import Schema, compile_schema
from services.prober.expected.paths import JsonPath, XPath, compile_path, compile_xpath
from services.prober.expected.template import fill_text, fill_value

__all__ = [
    "ANYTHING",
    "Expectations",
    "FreshAt",
    "HeaderCheck",
    "JsonCheck",
    "Pattern",
    "Records",
    "XmlCheck",
    "compile_expectations",
    "compile_pattern",
]


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 pattern, as written and as compiled; searched for, not anchored."""

    text: str
    compiled: Any

    def found(self, data: bytes) -> bool:
        """Whether it occurs in UTF-8 ``data``."""
        return self.compiled.search(data) is not None

    def __reduce__(self) -> tuple[Callable[[str], Pattern], tuple[str]]:
        """Go to another process as text."""
        return compile_pattern, (self.text,)


@dataclass(frozen=True, slots=True)
class HeaderCheck:
    """What the values of a header must and must not match; ``name`` in lower case."""

    name: str
    must: Pattern | None = None
    must_not: Pattern | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Records:
    """What some record, and no record, of a section of a DNS answer must match."""

    must: tuple[Pattern, ...] = ()
    must_not: tuple[Pattern, ...] = ()


class _Unasked(Enum):
    """What no answer is compared with; an Enum, for it is itself in another process too."""

    ANYTHING = "anything"


ANYTHING: Final = _Unasked.ANYTHING
"""Expected of a value where any will do: None is JSON's null, and a value like any other."""


@dataclass(frozen=True, slots=True)
class JsonCheck:
    """What some node at ``path`` must be. ``equals`` ANYTHING is not compared, ``type`` empty means any."""

    path: str
    query: JsonPath
    equals: object = ANYTHING
    type: str = ""


@dataclass(frozen=True, slots=True)
class XmlCheck:
    """What ``query`` (an XPath) must find: something, or a text equal to ``equals`` (unless None)."""

    path: str
    query: XPath
    equals: str | None = None


@dataclass(frozen=True, slots=True)
class FreshAt:
    """Where the time of the data stands: a JSON path, an XPath, or a header by its lower-case name."""

    query: JsonPath | None
    xpath: XPath | None
    header: str


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the answer of one target must be. ``latency`` (τ) and ``max_age`` (φ) in seconds; None is not judged.

    ``soap`` wants a SOAP message, and ``bus`` says that the answer comes over X-Road, whose own errors are then told apart.
    ``record`` is the test record of JSON, ``xml_record`` that of SOAP. Dates that name no time zone are of ``zone``.
    An answer of up to ``at_once`` bytes is judged at once, a larger one by a process of its own; None is any size.
    """

    status: frozenset[int] = frozenset()
    headers: tuple[HeaderCheck, ...] = ()
    must: tuple[Pattern, ...] = ()
    must_not: tuple[Pattern, ...] = ()
    json: tuple[JsonCheck, ...] = ()
    xml: tuple[XmlCheck, ...] = ()
    schema: Schema | None = None
    record: tuple[JsonCheck, ...] = ()
    xml_record: tuple[XmlCheck, ...] = ()
    soap: bool = False
    bus: bool = False
    fresh: FreshAt | None = None
    zone: tzinfo = UTC
    tls: bool = False
    rcode: frozenset[str] = frozenset()
    answers: Records = Records()
    authority: Records = Records()
    latency: float | None = None
    max_age: float | None = None
    at_once: int | None = None


@lru_cache(maxsize=8192)
def compile_pattern(text: str) -> Pattern:
    """Compile an RE2 pattern, once per text. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    return Pattern(text, re2.compile(text.encode(), options))


def _patterns(texts: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple(map(compile_pattern, texts))


def _pattern_or_none(text: str) -> Pattern | None:
    return compile_pattern(text) if text else None


def _field(path: str) -> str:
    """Read a field of a test record, which may be written `person.name` for `$.person.name`."""
    return path if path.startswith("$") else f"$.{path}"


def _fresh_at(fresh: Fresh | None, namespaces: Mapping[str, str]) -> FreshAt | None:
    if fresh is None:
        return None
    return FreshAt(
        query=compile_path(fresh.path) if fresh.path else None,
        xpath=compile_xpath(fresh.xpath, namespaces) if fresh.xpath else None,
        header=fresh.header.lower(),
    )


def _json_checks(expect: Expect, params: Mapping[str, object]) -> tuple[JsonCheck, ...]:
    return tuple(
        JsonCheck(
            item.path,
            compile_path(item.path),
            # A param may be null, and is then compared; what is written in a definition is not.
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
            None if item.equals is None else fill_text(item.equals, params),
        )
        for item in expect.xml
    )


def compile_expectations(
    definition: Probe,
    params: Mapping[str, object],
    *,
    latency: float | None,
    max_age: float | None,
    zone: tzinfo = UTC,
) -> Expectations:
    """Compile what a definition expects, the params of a link or endpoint filled in; patterns and paths once per text.

    Dates without a time zone are of ``zone``. Raises ValueError, re2.error, JSONPathError or XPathError on what the
    register should have refused.
    """
    expect = definition.expect
    soap = definition.kind in SOAP_KINDS
    json_record, xml_record = ({}, expect.record) if soap else (expect.record, {})
    json, xml = _json_checks(expect, params), _xml_checks(expect, params)
    schema = None if expect.schema is None else compile_schema(expect.schema)
    record = tuple(
        JsonCheck(path, compile_path(_field(path)), fill_value(value, params)) for path, value in json_record.items()
    )
    of_soap = tuple(
        XmlCheck(path, compile_xpath(path, expect.namespaces), fill_text(value, params))
        for path, value in xml_record.items()
    )
    fresh = _fresh_at(expect.fresh, expect.namespaces)
    sizes = [check.query.at_once for check in (*json, *record)]
    sizes += [check.query.at_once for check in (*xml, *of_soap)]
    sizes += [query.at_once for query in (fresh and fresh.query, fresh and fresh.xpath, schema) if query]
    return Expectations(
        status=frozenset(expect.status),
        headers=tuple(
            HeaderCheck(name.lower(), _pattern_or_none(item.must), _pattern_or_none(item.must_not), item.optional)
            for name, item in expect.headers.items()
        ),
        must=_patterns(expect.body.must),
        must_not=_patterns(expect.body.must_not),
        json=json,
        xml=xml,
        schema=schema,
        record=record,
        xml_record=of_soap,
        soap=soap,
        bus=definition.kind in BUS_KINDS,
        fresh=fresh,
        zone=zone,
        tls=expect.tls,
        rcode=frozenset(expect.rcode),
        answers=Records(_patterns(expect.answers.must), _patterns(expect.answers.must_not)),
        authority=Records(_patterns(expect.authority.must), _patterns(expect.authority.must_not)),
        latency=latency,
        max_age=max_age,
        at_once=least(sizes),
    )
