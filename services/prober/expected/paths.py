"""JSONPaths (RFC 9535) and XPaths (1.0), compiled. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import jsonpath_rfc9535
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector
from lxml import etree

from services.prober.expected.cost import of_json_path, of_xpath


class JsonPath:
    """A compiled path. One that leads straight to a single node, as most do, is walked without the library.

    ``at_once`` is the size of an answer in bytes up to which it runs in the loop, None where it always does.
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
            # A name selects from objects alone, an index from arrays alone.
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
    """A compiled XPath. ``at_once`` is the size of an answer in bytes up to which it runs in the loop."""

    def __init__(self, path: str, namespaces: frozenset[tuple[str, str]]) -> None:
        """Compile an XPath, its prefixes and their URIs. Raises XPathError."""
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
