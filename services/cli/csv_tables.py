"""Writes tables as CSV whose bytes depend only on their rows (RFC 4180, UTF-8)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa

from services.core.spreadsheets import cell

_ROWS_AT_ONCE: Final = 10_000
"""The most rows that are Python values at a time: some megabytes."""


def csv_parts(rows: pa.Table) -> Iterator[bytes]:
    """Yield a table in parts, with its column names in the first line. No text in it is a formula to a spreadsheet."""
    yield _lines([rows.column_names])
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
        columns = [[_text(value) for value in column.to_pylist()] for column in batch.columns]
        yield _lines(zip(*columns, strict=True))


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else cell(value)
