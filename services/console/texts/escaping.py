"""Escapes values for a page, like ``markupsafe.escape`` but without copying values that are markup already."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup, escape

_LONGEST = 200
"""The most characters of a text whose escaped form is cached: a page repeats names, words and addresses many times."""


def escaped(value: object) -> str:
    """Return a value escaped, but markup as it is."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST:
        return _of_text(value)
    return escape(value)


@lru_cache(maxsize=4096)
def _of_text(text: str) -> str:
    return str(escape(text))
