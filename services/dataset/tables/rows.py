"""Functions shared by the tables of all kinds: rows that come as lists of values, and columns of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.dataset.tables.schemas import MOMENT, Kind

MICROS: Final = 1_000_000
UNSET: Final = -1
"""Stands for null where a column is an array."""


def table_of_columns(columns: Mapping[str, Sequence[object]], kind: Kind) -> pa.Table:
    """Return a table of the columns of a kind; moments are in microseconds."""
    return pa.table([_array(columns[field.name], field.type) for field in kind.schema], schema=kind.schema)


def stamps(rows: int, stored: float | Sequence[float], sequence: int | Sequence[int]) -> dict[str, Sequence[object]]:
    """Return the columns that tell when rows were stored, in epoch seconds, and in which message.

    Each argument is one value for all rows, or a value for each row.
    """
    moments = stored if isinstance(stored, Sequence) else [stored] * rows
    sequences = sequence if isinstance(sequence, Sequence) else [sequence] * rows
    return {"stored": [round(moment * MICROS) for moment in moments], "sequence": sequences}


def texts_of(column: pa.ChunkedArray) -> list[str]:
    """Return the texts of a column whose chunks share one dictionary."""
    texts: list[str] = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    return texts


def codes_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return for each row the place of its text; -1 for none."""
    chunks: list[pa.Array] = [pc.fill_null(chunk.indices, UNSET) for chunk in column.chunks]
    arrays = [np.zeros(0, np.int64), *(chunk.to_numpy(zero_copy_only=False) for chunk in chunks)]
    return np.concatenate(arrays).astype(np.int64)


def _array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    if kind == MOMENT:
        return pa.array(values, pa.int64()).cast(MOMENT)
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)
