"""Compiles JSONPaths (RFC 9535), XPaths (1.0) and RE2 patterns, each with a size limit for the event loop. Pure.

Parsing a body, RE2 patterns, and paths straight to one value take time in proportion to the size of the answer. They
take so little that they run on every answer. Paths that visit every value take longer. Paths that visit all values for
each value take the square of their number: an answer from a stranger would hold up every probe, and the delay would be
charged to other targets. Larger answers are judged in a worker process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jsonpath_rfc9535
import re2
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector
from lxml import etree

_VALUES: Final = 1 << 14
# A size shifted right by this for each further degree takes no more steps, squared or cubed, than the size above.
_SHIFT: Final = 6
# Steps that visit many values again: far axes, parents, and absolute paths that do not begin the expression.
_FAR: Final = re.compile(
    r"//|\.\.|\b(?:ancestor|descendant|following|preceding|parent)[a-z-]*\s*::|(?<=[\s\[(,=<>+|-])/(?!/)"
)
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"]*\"""")
_QUOTED_JSON: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_PATTERN: Final = re.compile(r"\b(?:match|search)\s*\(")


class JsonPath:
    """A compiled path. A path straight to a single node, as most are, is walked without the library.

    ``at_once`` is the size in bytes up to which an answer is searched in the event loop; None means any size.
    """

    __slots__ = ("_keys", "_query", "_text", "at_once")

    def __init__(self, text: str) -> None:
        """Compile a path. Raises JSONPathError."""
        self._query = jsonpath_rfc9535.compile(text)
        self._keys = _keys(self._query)
        self._text = text
        self.at_once = of_json_path(text) if self._keys is None else None

    def __reduce__(self) -> tuple[Callable[[str], JsonPath], tuple[str]]:
        """Pickle as text."""
        return compile_path, (self._text,)

    def values(self, document: object) -> Sequence[object]:
        """Return the values of the nodes that the path finds in a JSON value, in document order."""
        if self._keys is None:
            return [node.value for node in self._query.finditer(document)]  # type: ignore[arg-type]  # any JSON value
        for key in self._keys:
            # A name selects only from objects, an index only from arrays.
            if not isinstance(document, dict if isinstance(key, str) else list):
                return ()
            try:
                document = document[key]  # type: ignore[index]  # by the line above
            except (KeyError, IndexError):
                return ()
        return (document,)


def _keys(query: jsonpath_rfc9535.JSONPathQuery) -> tuple[str | int, ...] | None:
    """Return the names and indices of a singular query (RFC 9535, 2.3.5.1), None for any other."""
    if not query.singular_query():
        return None
    keys: list[str | int] = []
    for segment in query.segments:
        (selector,) = segment.selectors
        if isinstance(selector, NameSelector):
            keys.append(selector.name)
        elif isinstance(selector, IndexSelector):
            keys.append(selector.index)
        else:
            return None
    return tuple(keys)


@lru_cache(maxsize=8192)
def compile_path(text: str) -> JsonPath:
    """Compile a path, once per text. Raises JSONPathError."""
    return JsonPath(text)


class XPath(etree.XPath):
    """A compiled XPath. ``at_once`` is the size in bytes up to which an answer is searched in the event loop."""

    def __init__(self, path: str, namespaces: frozenset[tuple[str, str]]) -> None:
        """Compile an XPath; ``namespaces`` are its prefixes and their URIs. Raises XPathError."""
        # Without Python's regular expressions, which would let one answer hold up every probe.
        super().__init__(path, namespaces=dict(namespaces), regexp=False, smart_strings=False)
        self._source = (path, namespaces)
        self.at_once = of_xpath(path)

    def __reduce__(self) -> tuple[Callable[..., XPath], tuple[str, frozenset[tuple[str, str]]]]:
        """Pickle as text."""
        return _xpath, self._source


@lru_cache(maxsize=8192)
def _xpath(path: str, namespaces: frozenset[tuple[str, str]]) -> XPath:
    return XPath(path, namespaces)


def compile_xpath(path: str, namespaces: Mapping[str, str]) -> XPath:
    """Compile an XPath 1.0, once per text and namespaces. Raises XPathError."""
    return _xpath(path, frozenset(namespaces.items()))


def of_xpath(text: str) -> int:
    """Return the size in bytes up to which an XPath runs in the event loop."""
    path, bracket, filters = _QUOTED.sub("''", text.strip()).partition("[")
    return _of_degree(max(1, len(_FAR.findall(path))) + len(_FAR.findall(bracket + filters)))


def of_json_path(text: str) -> int:
    """Return the size in bytes up to which a JSONPath that may find several nodes runs in the event loop."""
    text = _QUOTED_JSON.sub("''", text)
    if _PATTERN.search(text):  # the library's regular expressions backtrack without bound
        return 0
    roots = text.count("$") - 1
    return _of_degree(text.count("..") + roots + (roots > 0))


def _of_degree(degree: int) -> int:
    return _VALUES >> _SHIFT * max(0, degree - 1)


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 pattern, as written and compiled. It matches anywhere in a text."""

    text: str
    compiled: Any

    def matches(self, data: bytes) -> bool:
        """Return whether the pattern matches somewhere in UTF-8 ``data``."""
        return self.compiled.search(data) is not None

    def __reduce__(self) -> tuple[Callable[[str], Pattern], tuple[str]]:
        """Pickle as text."""
        return compile_pattern, (self.text,)


@lru_cache(maxsize=8192)
def compile_pattern(text: str) -> Pattern:
    """Compile an RE2 pattern, once per text. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    return Pattern(text, re2.compile(text.encode(), options))
