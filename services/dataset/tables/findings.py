"""Findings about exchanges, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import pyarrow as pa

from services.core.model import Finding
from services.dataset.tables.rows import MICROS, stamps, table_of_columns
from services.dataset.tables.schemas import FINDING, MOMENT


def finding_table(
    findings: Sequence[Finding], *, stored: float | Sequence[float], sequence: int | Sequence[int]
) -> pa.Table:
    """Return findings as rows.

    ``stored`` is when the stream stored all or each of them, in epoch seconds, and ``sequence`` says in which message.
    """
    columns = {field.name: [getattr(finding, field.name) for finding in findings] for field in fields(Finding)}
    for field in FINDING.schema:
        if field.type == MOMENT and field.name in columns:
            columns[field.name] = [None if value is None else value * MICROS for value in columns[field.name]]
    columns["flows"] = ["\t".join(finding.flows) for finding in findings]
    return table_of_columns(columns | stamps(len(findings), stored, sequence), FINDING)
