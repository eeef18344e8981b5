"""Captures values that a step of a journey takes from its answer for later steps. Pure.

A captured value may be a token or personal data, so it is never part of a message or a repr.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from jsonpath_rfc9535 import JSONPathError
from lxml import etree

from services.core.model import Capture
from services.prober.checks.document import CheckFailedError, Document, document_of
from services.prober.checks.xml_values import texts
from services.prober.expected import ValuePlace, compile_pattern, compile_place
from services.prober.observation import Observation

_MAX_LENGTH: Final = 1 << 16
# Persian words contain harmless characters that are not printable, so only controls and line ends are refused.
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ENCODE: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "xml": lambda text: escape(text, {'"': "&quot;"}),
}


class CaptureError(Exception):
    """An answer has no value for a variable. The message states why, without the value."""


@dataclass(frozen=True, slots=True)
class CompiledCapture:
    """A compiled capture. ``find`` returns the value of ``variable``, None if there is none.

    ``at_once`` is the size in bytes up to which an answer is searched in the event loop; None means any size.
    """

    variable: str
    capture: Capture
    namespaces: Mapping[str, str]
    find: Callable[[Observation], object] = field(repr=False)
    at_once: int | None = None

    def __reduce__(self) -> tuple[Callable[..., CompiledCapture], tuple[str, Capture, dict[str, str]]]:
        """Pickle the capture as it is written in the definition."""
        return compile_capture, (self.variable, self.capture, dict(self.namespaces))

    def value(self, observation: Observation) -> object:
        """Return the value: a text, a number or a flag. Raises CaptureError."""
        try:
            value = self.find(observation)
        except CheckFailedError as failed:
            raise CaptureError(failed.detail) from failed
        except (JSONPathError, etree.XPathError) as error:  # such as an answer that is nested too deep
            raise CaptureError(f"the search failed: {type(error).__name__}") from error
        if value is None or value == "":
            raise CaptureError("nothing was found")
        if not isinstance(value, str | bool | int | float):
            raise CaptureError("the value is neither text, number nor flag")
        if isinstance(value, str):
            if len(value) > _MAX_LENGTH:
                raise CaptureError(f"the value is longer than {_MAX_LENGTH} characters")
            # The value goes into headers and lines, and nothing that a remote server sent may end one of those early.
            if any(unicodedata.category(character) in _CONTROLS for character in value):
                raise CaptureError("the value holds a control character")
            return _ENCODE[self.capture.encode](value)
        return value if not self.capture.encode else _ENCODE[self.capture.encode](json.dumps(value))


def compile_capture(variable: str, capture: Capture, namespaces: Mapping[str, str]) -> CompiledCapture:
    """Compile a capture, its XPath with the step's ``namespaces``.

    Raises re2.error, JSONPathError or XPathError for a capture that the register should have refused.
    """
    if capture.pattern:
        return CompiledCapture(variable, capture, namespaces, _pattern(capture.pattern))
    place = compile_place(capture.json, capture.xpath, capture.header, namespaces)

    def find(observation: Observation) -> object:
        return value_at(place, observation, document_of(observation))

    return CompiledCapture(variable, capture, namespaces, find, place.at_once)


def value_at(place: ValuePlace, observation: Observation, document: Document) -> object:
    """Return the value at a place of an answer, None if there is none. Raises CheckFailedError."""
    if place.query is not None:
        return next(iter(place.query.values(document.value)), None)
    if place.xpath is not None:
        return next((text.strip() for text in texts(place.xpath, document)), None)
    return next((value.strip() for name, value in observation.headers if name == place.header), None)


def _pattern(text: str) -> Callable[[Observation], object]:
    pattern = compile_pattern(text)

    def find(observation: Observation) -> object:
        match = pattern.compiled.search(observation.body)
        group = match and match.group(1)
        if group is None:
            return None
        try:
            return str(group, "utf-8")
        except UnicodeDecodeError as error:
            raise CaptureError("the value is not UTF-8") from error

    return find
