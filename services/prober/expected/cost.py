"""Up to which size an answer is judged at once; a larger one is judged by a process of its own. Pure.

Reading a body, RE2 and paths straight to one value take time in proportion to it, and so little that every answer may have
it. What visits every value takes longer, and what visits all of them for each takes their number's square: a stranger's
answer would hold up every probe, and late answers would be taken for the targets'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["SCHEMA", "least", "of_json_path", "of_xpath"]

SCHEMA: Final = 1 << 12
"""Bytes that a schema is held against at once: some hundred values, each by Python."""

_VALUES: Final = 1 << 14
# Of this many bytes, the square and the cube too are no more steps than the bytes above.
_SHIFT: Final = 6
# What starts over from many values: far axes, parents, and absolute paths that do not begin the expression.
_FAR: Final = re.compile(
    r"//|\.\.|\b(?:ancestor|descendant|following|preceding|parent)[a-z-]*\s*::|(?<=[\s\[(,=<>+|-])/(?!/)"
)
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"]*\"""")
_QUOTED_JSON: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_PATTERN: Final = re.compile(r"\b(?:match|search)\s*\(")


def of_xpath(text: str) -> int:
    """Return the bytes that an XPath is run over at once."""
    found, opened, filters = _QUOTED.sub("''", text.strip()).partition("[")
    return _of_degree(max(1, len(_FAR.findall(found))) + len(_FAR.findall(opened + filters)))


def of_json_path(text: str) -> int:
    """Return the bytes that a JSONPath is run over at once, of one that may find several nodes."""
    text = _QUOTED_JSON.sub("''", text)
    if _PATTERN.search(text):  # the library's own engine of patterns goes back and tries again, without end
        return 0
    roots = text.count("$") - 1
    return _of_degree(text.count("..") + roots + (roots > 0))


def _of_degree(degree: int) -> int:
    return _VALUES >> _SHIFT * max(0, degree - 1)


def least(sizes: Iterable[int | None]) -> int | None:
    """Return the smallest size, None where nothing sets one."""
    return min((size for size in sizes if size is not None), default=None)
