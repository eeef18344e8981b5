"""Writes tables as CSV whose bytes depend only on their rows (RFC 4180, UTF-8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa

from services.core.spreadsheets import cell, csv_text

_END: Final = "\r\n"
_ROWS_AT_ONCE: Final = 10_000
"""The most rows that are Python values at a time: some megabytes."""


def csv_parts(rows: pa.Table) -> Iterator[bytes]:
    """Yield a table in parts, with its column names in the first line. No text in it is a formula to a spreadsheet."""
    yield csv_text([rows.column_names], end=_END).encode()
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
        columns = [[_text(value) for value in column.to_pylist()] for column in batch.columns]
        yield csv_text(zip(*columns, strict=True), end=_END).encode()


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else cell(value)
