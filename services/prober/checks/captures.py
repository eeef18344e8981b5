"""What a step of a journey takes from its answer for later steps. Pure.

What is found may be a token or personal: it is never part of a message or a repr.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from services.core.model import Capture
from services.prober.checks.check_failed import CheckFailedError
from services.prober.checks.document import document_of
from services.prober.checks.xml_values import texts
from services.prober.expected import compile_path, compile_pattern, compile_xpath
from services.prober.observation import Observation

__all__ = ["CaptureError", "Finder", "compile_capture"]

_LENGTH: Final = 1 << 16
# Persian words hold characters that are not printable and mean no harm: only controls and line ends are refused.
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ENCODE: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "xml": lambda text: escape(text, {'"': "&quot;"}),
}


class CaptureError(Exception):
    """An answer gives no value for a variable; the message says why, without what was found."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A capture, compiled: ``find`` returns the value of ``variable``, None where there is none.

    ``at_once`` is the size of an answer in bytes up to which it is quick, None where it always is.
    """

    variable: str
    capture: Capture
    namespaces: Mapping[str, str]
    find: Callable[[Observation], object] = field(repr=False)
    at_once: int | None = None

    def __reduce__(self) -> tuple[Callable[..., Finder], tuple[str, Capture, dict[str, str]]]:
        """Go to another process as it is written."""
        return compile_capture, (self.variable, self.capture, dict(self.namespaces))

    def value(self, observation: Observation) -> object:
        """Return the value: a text, a number or a flag. Raises CaptureError."""
        try:
            found = self.find(observation)
        except CheckFailedError as wrong:
            raise CaptureError(wrong.detail) from wrong
        if found is None or found == "":
            raise CaptureError("nothing was found")
        if not isinstance(found, str | bool | int | float):
            raise CaptureError("what was found is neither text, number nor flag")
        if isinstance(found, str):
            if len(found) > _LENGTH:
                raise CaptureError(f"what was found is longer than {_LENGTH} characters")
            # It goes into headers and lines: what could end one early is not taken from a stranger.
            if any(unicodedata.category(character) in _CONTROLS for character in found):
                raise CaptureError("what was found holds a control character")
            return _ENCODE[self.capture.encode](found)
        return found if not self.capture.encode else _ENCODE[self.capture.encode](json.dumps(found))


def compile_capture(variable: str, capture: Capture, namespaces: Mapping[str, str]) -> Finder:
    """Compile a capture, its XPath by the step's ``namespaces``. Raises re2.error, JSONPathError or XPathError on what the register should have refused."""
    at_once: int | None = None
    if capture.json:
        find, at_once = _json(capture.json), compile_path(capture.json).at_once
    elif capture.xpath:
        find, at_once = _xpath(capture.xpath, namespaces), compile_xpath(capture.xpath, namespaces).at_once
    elif capture.pattern:
        find = _pattern(capture.pattern)
    else:
        find = _header(capture.header.lower())
    return Finder(variable, capture, namespaces, find, at_once)


def _header(name: str) -> Callable[[Observation], object]:
    return lambda seen: next((value.strip() for given, value in seen.headers if given == name), None)


def _json(path: str) -> Callable[[Observation], object]:
    query = compile_path(path)

    def find(seen: Observation) -> object:
        return next(iter(query.values(document_of(seen).value)), None)

    return find


def _xpath(path: str, namespaces: Mapping[str, str]) -> Callable[[Observation], object]:
    query = compile_xpath(path, namespaces)
    return lambda seen: next((text.strip() for text in texts(query, document_of(seen))), None)


def _pattern(text: str) -> Callable[[Observation], object]:
    pattern = compile_pattern(text)

    def find(seen: Observation) -> object:
        match = pattern.compiled.search(seen.body)
        group = match and match.group(1)
        if group is None:
            return None
        try:
            return str(group, "utf-8")
        except UnicodeDecodeError as error:
            raise CaptureError("what was found is not UTF-8") from error

    return find
