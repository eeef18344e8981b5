"""Writes CSV files, whose cells spreadsheets show but do not compute. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet computes a text that begins with one of these."""


def csv_text(rows: Iterable[Iterable[Any]], *, end: str = "\n") -> str:
    """Return rows as CSV (RFC 4180), each with ``end`` after it."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    """Return a value for CSV: numbers to the last bit, an apostrophe before a text that would be a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value
