"""Defines what the answer of one target must be: compiled patterns, paths, schemas and limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum
from typing import Final

from services.prober.expected.json_schema import Schema
from services.prober.expected.paths import JsonPath, Pattern, XPath


@dataclass(frozen=True, slots=True)
class HeaderCheck:
    """The patterns that the values of a header must and must not match. ``name`` is in lower case."""

    name: str
    must: Pattern | None = None
    must_not: Pattern | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Records:
    """Patterns that some, no or every record of a section of a DNS answer must match; ``empty`` requires no records."""

    must: tuple[Pattern, ...] = ()
    must_not: tuple[Pattern, ...] = ()
    every: tuple[Pattern, ...] = ()
    empty: bool = False


class _AnyValue(Enum):
    """An Enum, so that its member is the same object in another process too."""

    ANYTHING = "anything"


ANYTHING: Final = _AnyValue.ANYTHING
"""Expected where any value is accepted. None is JSON's null, a value like any other."""


@dataclass(frozen=True, slots=True)
class JsonCheck:
    """What some node at ``path`` must be. ``equals`` is not compared if it is ANYTHING; an empty ``type`` means any."""

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
class ValuePlace:
    """The place of a value in an answer: a JSON path, an XPath, or a header by its lower-case name."""

    query: JsonPath | None
    xpath: XPath | None
    header: str

    @property
    def at_once(self) -> int | None:
        """The size in bytes up to which an answer is searched in the event loop; None means any size."""
        path = self.query or self.xpath
        return path.at_once if path else None


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the answer of one target must be. ``latency`` (τ) and ``max_age`` (φ) are in seconds; None is not judged.

    * ``refused`` requires that the target refuses us in time.
    * ``soap`` requires a SOAP message.
    * ``bus`` means that the answer comes over X-Road, whose own errors are then kept apart.
    * ``record`` is the test record, of JSON or of SOAP.
    * ``fresh`` is the place of the time of the data. Dates without a time zone are read in ``zone``.
    * An answer of up to ``at_once`` bytes is judged in the event loop, a larger one in a worker process. None means
      that an answer of any size is judged in the loop.
    * ``steps`` are the expectations of each step that a journey took, in order.
    """

    refused: bool = False
    status: frozenset[int] = frozenset()
    headers: tuple[HeaderCheck, ...] = ()
    must: tuple[Pattern, ...] = ()
    must_not: tuple[Pattern, ...] = ()
    json: tuple[JsonCheck, ...] = ()
    xml: tuple[XmlCheck, ...] = ()
    schema: Schema | None = None
    record: tuple[JsonCheck, ...] | tuple[XmlCheck, ...] = ()
    soap: bool = False
    bus: bool = False
    fresh: ValuePlace | None = None
    zone: tzinfo = UTC
    tls: bool = False
    certificate_left: float = 0.0
    rcode: frozenset[str] = frozenset()
    authoritative: bool = False
    answers: Records = Records()
    authority: Records = Records()
    additional: Records = Records()
    latency: float | None = None
    max_age: float | None = None
    at_once: int | None = None
    steps: tuple[Expectations, ...] = ()
