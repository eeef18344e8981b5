"""Published indicators as rows of a table, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.core.model import Indicator, IndicatorKind, Interval, Losses, RankBand, RankBasis, StrictShare
from services.dataset.tables.rows import MICROS, stamps, table_of_columns
from services.dataset.tables.schemas import INDICATOR

_PLAIN = tuple(
    field.name for field in fields(Indicator) if field.name in INDICATOR.schema.names and field.name != "kind"
)
_NESTED: dict[str, type] = {"interval": Interval, "losses": Losses, "strict": StrictShare, "rank_band": RankBand}
_PREFIX = {"interval": "interval_", "losses": "loss_", "strict": "strict_", "rank_band": "rank_"}


def indicator_table(
    rows: Sequence[Indicator], *, stored: float | Sequence[float], sequence: int | Sequence[int]
) -> pa.Table:
    """Return indicators as rows.

    ``stored`` is when the stream stored all or each of them, in epoch seconds, and ``sequence`` says in which message.
    The number of outages that an interval rests on is not kept: another column would change the hashes of sealed days.
    """
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in _PLAIN}
    columns["kind"] = [row.kind.label for row in rows]
    columns["as_of"] = [row.as_of * MICROS for row in rows]
    for name, kind in _NESTED.items():
        for field in fields(kind):
            values = [getattr(value, field.name) if (value := getattr(row, name)) else None for row in rows]
            columns[_PREFIX[name] + field.name] = values
    return table_of_columns(columns | stamps(len(rows), stored, sequence), INDICATOR)


def indicators_of(table: pa.Table, only: IndicatorKind | None = None) -> Iterator[Indicator]:
    """Yield the rows of a table as they were published, in its order; only those of one kind, if one is given."""
    if only is not None:
        table = table.filter(pc.equal(table["kind"].cast(pa.string()), only.label))
    for row in table.to_pylist():
        nested = {
            name: {field.name: row.get(_PREFIX[name] + field.name) for field in fields(kind)}
            for name, kind in _NESTED.items()
        }
        there = {name for name, parts in nested.items() if any(value is not None for value in parts.values())}
        nested["rank_band"]["basis"] = RankBasis.INTERVALS
        values: dict[str, Any] = {
            name: kind(**nested[name]) if name in there else None for name, kind in _NESTED.items()
        }
        plain = {name: row[name] for name in _PLAIN} | {"as_of": int(row["as_of"].timestamp())}
        yield Indicator(kind=IndicatorKind[row["kind"].upper()], **plain, **values)
