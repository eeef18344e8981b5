"""Cells of CSV files that spreadsheets show but do not compute. Pure."""

from __future__ import annotations

from typing import Any, Final

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet computes a text that begins with one of these."""


def cell(value: Any) -> Any:
    """Return a value for csv.writer: numbers to the last bit, an apostrophe before a text that would be a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value
