"""What was said of findings about exchanges, as rows of a table."""

from __future__ import annotations

from dataclasses import fields

import pyarrow as pa

from services.core.model import Finding
from services.dataset.tables.rows import MICROS, table_of_columns
from services.dataset.tables.schemas import FINDING, MOMENT


def finding_table(finding: Finding, *, stored: float, sequence: int) -> pa.Table:
    """Return a finding as a row; ``stored`` is when the stream stored it, in epoch seconds."""
    row = {field.name: getattr(finding, field.name) for field in fields(finding)}
    moments = [field.name for field in FINDING.schema if field.type == MOMENT and field.name in row]
    row |= {name: row[name] * MICROS for name in moments if row[name] is not None}
    row |= {"flows": "\t".join(finding.flows), "stored": round(stored * MICROS), "sequence": sequence}
    return table_of_columns({name: [value] for name, value in row.items()}, FINDING)
