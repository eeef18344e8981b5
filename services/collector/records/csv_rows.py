"""Reads exchange records as CSV, with the column names of X-Road's records or open data (docs/exchange.md §2.1). Pure.

Open data have ``totalDuration`` (client) or ``producerDurationProducerView`` (provider) instead of the last stamp, and
distinguish rows by ``id``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from services.collector.records.fields import FIELDS, FLAGS, NUMBERS

_HEADER = re.compile(rb'\s*"?[A-Za-z_]\w*"?\s*[,;\t]')
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_ABSENT = frozenset({"", "None", "null", "NULL", "NA", "nan"})
_FLAGS = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}
_DURATIONS = ("totalDuration", "producerDurationProducerView")
_NAMES = {name.lower(): name for name in (*FIELDS, *_DURATIONS)}
_DELIMITERS = ",;\t"


class RowError(ValueError):
    """A row, or a whole table, that cannot be read; the message quotes no cell."""


def is_header(line: bytes) -> bool:
    """Return whether a file that begins with this line is a table."""
    return _HEADER.match(line) is not None


def _cells(line: bytes, delimiter: str) -> list[str]:
    try:
        text = line.decode("utf-8").rstrip("\r\n")
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        raise RowError("it is not UTF-8") from None
    except csv.Error:
        raise RowError("it is not CSV: a quote is out of place, or a cell is too long") from None
    return rows[0] if rows else []


def read_header(line: bytes) -> tuple[str, tuple[str, ...]]:
    """Read the delimiter and the column names, which may be in any case. Raises RowError."""
    header = _HEADER.match(line)
    delimiter = chr(header[0][-1]) if header else ","
    return delimiter, column_names(_cells(line, delimiter))


def column_names(cells: Iterable[str]) -> tuple[str, ...]:
    """Return the names of columns as records have them, from names in any case. Raises RowError."""
    names = tuple(_NAMES.get(cell.strip().lower(), cell.strip()) for cell in cells)
    if len(set(names)) < len(names):
        raise RowError("a column is there twice")
    if not set(names) & set(_NAMES.values()):
        raise RowError("no column is named as in a record, such as messageId")
    return names


def delimiter_of(line: bytes, columns: int) -> str:
    """Return the delimiter that splits the first line of a table without a header into so many cells, or a comma."""
    for mark in _DELIMITERS:
        with suppress(RowError):  # the quotes of a row may be out of place for all delimiters but its own
            if len(_cells(line, mark)) == columns:
                return mark
    return ","


def read_row(line: bytes, delimiter: str, names: Sequence[str]) -> dict[str, Any]:
    """Return a row as a raw record. Raises RowError."""
    cells = _cells(line, delimiter)
    if len(cells) != len(names):
        raise RowError(f"it has {len(cells)} cells under {len(names)} columns")
    raw = {name: _value(name, cell.strip()) for name, cell in zip(names, cells, strict=True)}
    if raw.get("responseOutTs") is None:
        duration = next((raw[name] for name in _DURATIONS if type(raw.get(name)) is int), None)
        if duration is not None and type(raw.get("requestInTs")) is int:
            raw["responseOutTs"] = raw["requestInTs"] + duration
    if raw.get("messageId") is None and raw.get("id") is not None:
        raw["messageId"] = raw["id"]
    return raw


def _value(name: str, cell: str) -> Any:
    """Convert a cell to the type of its column.

    A cell that does not fit stays text, which the check of the record refuses.
    """
    if cell in _ABSENT:
        return None
    if name in FLAGS:
        return _FLAGS.get(cell.lower(), cell)
    if (name in NUMBERS or name in _DURATIONS) and _WHOLE.fullmatch(cell):
        return int(cell)
    return cell
