"""Batches of measurements as rows of a table: the place of each in the chain of its prober, and its own hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from services.dataset.tables.rows import MICROS, table_of_columns
from services.dataset.tables.schemas import BATCH, DIGEST_BYTES

UNNUMBERED: Final = 0
"""The number of a batch without a place; its run is the empty text."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch of measurements: its sender and place, its SHA-256, and that of the previous batch.

    ``stored`` is when the stream stored it, in epoch seconds.
    """

    vantage: str
    prober: str
    run: str
    number: int
    sha256: bytes
    previous: bytes
    stored: float
    sequence: int


def batch_table(batches: Sequence[StoredBatch]) -> pa.Table:
    """Return batches as rows."""
    columns = {
        name: [getattr(one, name) for one in batches] for name in ("vantage", "prober", "run", "number", "sequence")
    }
    hashes = {name: [getattr(one, name)[:DIGEST_BYTES] or None for one in batches] for name in ("sha256", "previous")}
    stored = {"stored": [round(one.stored * MICROS) for one in batches]}
    return table_of_columns({**columns, **hashes, **stored}, BATCH)
