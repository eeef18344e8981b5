"""JSONPaths (RFC 9535) as probes run them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import jsonpath_rfc9535
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

__all__ = ["JsonPath", "compile_path"]


class JsonPath:
    """A compiled path. One that leads straight to a single node, as most do, is walked without the library."""

    __slots__ = ("_keys", "_query")

    def __init__(self, text: str) -> None:
        """Compile a path. Raises JSONPathError."""
        self._query = jsonpath_rfc9535.compile(text)
        self._keys = _keys(self._query)

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
