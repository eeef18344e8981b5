"""Expectations of one target, compiled: patterns, JSON paths, limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonpath_rfc9535
import re2

from services.core.model import Expect, Fresh
from services.prober.template import fill_value

__all__ = ["Expectations", "FreshAt", "JsonCheck", "Pattern", "compile_expectations"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 pattern, as written and as compiled; searched for, not anchored."""

    text: str
    compiled: Any

    def found(self, data: bytes) -> bool:
        """Whether it occurs in UTF-8 ``data``."""
        return self.compiled.search(data) is not None


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
    headers: tuple[tuple[str, Pattern], ...] = ()
    must: tuple[Pattern, ...] = ()
    must_not: tuple[Pattern, ...] = ()
    json: tuple[JsonCheck, ...] = ()
    record: tuple[JsonCheck, ...] = ()
    fresh: FreshAt | None = None
    latency: float | None = None
    max_age: float | None = None


@lru_cache(maxsize=8192)
def _pattern(text: str) -> Pattern:
    options = re2.Options()
    options.log_errors = False
    return Pattern(text, re2.compile(text.encode(), options))


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
        headers=tuple((name.lower(), _pattern(text)) for name, text in expect.headers.items()),
        must=tuple(_pattern(text) for text in expect.body.must),
        must_not=tuple(_pattern(text) for text in expect.body.must_not),
        json=tuple(
            JsonCheck(item.path, _query(item.path), fill_value(item.equals, params), item.type) for item in expect.json
        ),
        record=tuple(
            JsonCheck(path, _query(_field(path)), fill_value(value, params)) for path, value in expect.record.items()
        ),
        fresh=_fresh_at(expect.fresh),
        latency=latency,
        max_age=max_age,
    )
