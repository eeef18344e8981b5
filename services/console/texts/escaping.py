"""Values as they stand in a page: ``markupsafe.escape`` without its copies of what is markup already."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup, escape

_LONGEST = 200
"""Characters of the longest text whose escaped form is kept: names, words and addresses stand on a page many times."""


def escaped(value: object) -> str:
    """Return a value escaped, markup as it is."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST:
        return _of_text(value)
    return escape(value)


@lru_cache(maxsize=4096)
def _of_text(text: str) -> str:
    return str(escape(text))
