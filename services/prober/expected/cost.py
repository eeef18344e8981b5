"""Up to which size an answer is judged in the loop; a larger one is judged in a worker process. Pure.

Parsing a body, RE2 and paths straight to one value take time in proportion to its size, and so little that every answer may
have it. Paths that visit every value take longer, and those that visit all values for each take the square of their number:
a stranger's answer would hold up every probe, and the delay would be charged to other targets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

SCHEMA: Final = 1 << 12
"""Bytes that a schema is checked against in the loop: some hundred values, each in Python."""

_VALUES: Final = 1 << 14
# Squared or cubed, a size shifted by this per degree takes no more steps than the bytes above.
_SHIFT: Final = 6
# Steps that visit many values again: far axes, parents, and absolute paths that do not begin the expression.
_FAR: Final = re.compile(
    r"//|\.\.|\b(?:ancestor|descendant|following|preceding|parent)[a-z-]*\s*::|(?<=[\s\[(,=<>+|-])/(?!/)"
)
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"]*\"""")
_QUOTED_JSON: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_PATTERN: Final = re.compile(r"\b(?:match|search)\s*\(")


def of_xpath(text: str) -> int:
    """Return the size in bytes up to which an XPath runs in the loop."""
    path, bracket, filters = _QUOTED.sub("''", text.strip()).partition("[")
    return _of_degree(max(1, len(_FAR.findall(path))) + len(_FAR.findall(bracket + filters)))


def of_json_path(text: str) -> int:
    """Return the size in bytes up to which a JSONPath that may find several nodes runs in the loop."""
    text = _QUOTED_JSON.sub("''", text)
    if _PATTERN.search(text):  # the library's regular expressions backtrack without bound
        return 0
    roots = text.count("$") - 1
    return _of_degree(text.count("..") + roots + (roots > 0))


def _of_degree(degree: int) -> int:
    return _VALUES >> _SHIFT * max(0, degree - 1)


def least(sizes: Iterable[int | None]) -> int | None:
    """Return the smallest size, None if all are None."""
    return min((size for size in sizes if size is not None), default=None)
