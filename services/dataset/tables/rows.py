"""Tables of rows that come as lists of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from services.dataset.tables.schemas import MOMENT, Kind

MICROS: Final = 1_000_000


def table_of_columns(columns: Mapping[str, Sequence[object]], kind: Kind) -> pa.Table:
    """Return a table of the columns of a kind; moments are in microseconds."""
    return pa.table([_array(columns[field.name], field.type) for field in kind.schema], schema=kind.schema)


def _array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    if kind == MOMENT:
        return pa.array(values, pa.int64()).cast(MOMENT)
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)
