"""Expectations of one target, compiled: patterns, JSON paths, limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonpath_rfc9535
import re2

from services.core.definition import Expect, Fresh
from services.prober.template import fill_value

__all__ = [
    "Expectations",
    "FreshAt",
    "HeaderCheck",
    "JsonCheck",
    "Pattern",
    "Records",
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


@dataclass(frozen=True, slots=True)
class JsonCheck:
    """What some node at ``path`` must be. ``equals`` None means anything, ``type`` empty means any."""

    path: str
    query: jsonpath_rfc9535.JSONPathQuery
    equals: object = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class FreshAt:
    """Where the time of the data stands: a JSON path, or a header by its lower-case name."""

    query: jsonpath_rfc9535.JSONPathQuery | None
    header: str


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the answer of one target must be. ``latency`` (τ) and ``max_age`` (φ) in seconds; None is not judged."""

    status: frozenset[int] = frozenset()
    headers: tuple[HeaderCheck, ...] = ()
    must: tuple[Pattern, ...] = ()
    must_not: tuple[Pattern, ...] = ()
    json: tuple[JsonCheck, ...] = ()
    record: tuple[JsonCheck, ...] = ()
    fresh: FreshAt | None = None
    tls: bool = False
    rcode: frozenset[str] = frozenset()
    answers: Records = Records()
    authority: Records = Records()
    latency: float | None = None
    max_age: float | None = None


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


@lru_cache(maxsize=8192)
def _query(path: str) -> jsonpath_rfc9535.JSONPathQuery:
    return jsonpath_rfc9535.compile(path)


def _field(path: str) -> str:
    """Read a field of a test record, which may be written `person.name` for `$.person.name`."""
    return path if path.startswith("$") else f"$.{path}"


def _fresh_at(fresh: Fresh | None) -> FreshAt | None:
    if fresh is None:
        return None
    return FreshAt(_query(fresh.path) if fresh.path else None, fresh.header.lower())


def compile_expectations(
    expect: Expect, params: Mapping[str, object], *, latency: float | None, max_age: float | None
) -> Expectations:
    """Compile expectations, the params of a link or endpoint filled in; patterns and paths once per text.

    Raises ValueError, re2.error or JSONPathError on what the register should have refused.
    """
    return Expectations(
        status=frozenset(expect.status),
        headers=tuple(
            HeaderCheck(name.lower(), _pattern_or_none(item.must), _pattern_or_none(item.must_not), item.optional)
            for name, item in expect.headers.items()
        ),
        must=_patterns(expect.body.must),
        must_not=_patterns(expect.body.must_not),
        json=tuple(
            JsonCheck(item.path, _query(item.path), fill_value(item.equals, params), item.type) for item in expect.json
        ),
        record=tuple(
            JsonCheck(path, _query(_field(path)), fill_value(value, params)) for path, value in expect.record.items()
        ),
        fresh=_fresh_at(expect.fresh),
        tls=expect.tls,
        rcode=frozenset(expect.rcode),
        answers=Records(_patterns(expect.answers.must), _patterns(expect.answers.must_not)),
        authority=Records(_patterns(expect.authority.must), _patterns(expect.authority.must_not)),
        latency=latency,
        max_age=max_age,
    )
