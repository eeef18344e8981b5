"""Cells of CSV files that spreadsheets show and do not compute. Pure."""

from __future__ import annotations

from typing import Any, Final

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a text must not begin with in a cell, or a spreadsheet would compute it."""


def cell(value: Any) -> Any:
    """Return a value as csv.writer is to write it: numbers to the last bit, an apostrophe before what would be a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value
