"""Exchange summaries as rows of a table, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import pyarrow as pa

from services.core.model import ExchangeSummary
from services.dataset.tables.rows import MICROS, stamps, table_of_columns
from services.dataset.tables.schemas import EXCHANGE

_OF_THE_MESSAGE = ("bus", "stored", "sequence")
_FIELDS = tuple(name for name in EXCHANGE.schema.names if name not in _OF_THE_MESSAGE)


def exchange_table(bus: str, summaries: Sequence[ExchangeSummary], *, stored: float, sequence: int) -> pa.Table:
    """Return the summaries of one message as rows, without their attribution by a register."""
    rows = len(summaries)
    columns = {name: [getattr(summary, name) for summary in summaries] for name in _FIELDS}
    columns["slot_start"] = [moment * MICROS for moment in columns["slot_start"]]
    return table_of_columns(columns | {"bus": [bus] * rows} | stamps(rows, stored, sequence), EXCHANGE)


def summaries_of(table: pa.Table) -> list[ExchangeSummary]:
    """Return the rows of a table as summaries, in its order."""
    columns = {name: table[name] for name in _FIELDS}
    values = {
        name: (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for name, column in columns.items()
    }
    values["slot_start"] = [micros // MICROS for micros in values["slot_start"]]
    values["duration_buckets"] = [tuple(buckets) for buckets in values["duration_buckets"]]
    return [ExchangeSummary(**dict(zip(_FIELDS, row, strict=True))) for row in zip(*values.values(), strict=True)]


assert set(_FIELDS) <= {field.name for field in fields(ExchangeSummary)}  # else rows would lose a field
