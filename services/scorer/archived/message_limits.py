"""Limits the rows read from a dataset to messages up to one, also after the stream was recreated (docs/archive.md §6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.dataset.days import Manifest, StreamSpan
from services.dataset.positions import read_position
from services.dataset.storage import Storage
from services.dataset.tables import MEASUREMENT, MICROS

ALL: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class MessageLimit:
    """Messages up to ``sequence`` of the stream that was created at ``since`` (epoch seconds), and all of former ones."""

    sequence: int = ALL
    since: float = -inf

    def has_all(self, spans: Sequence[StreamSpan]) -> bool:
        """Return whether all measurements of a sealed day are within the limit."""
        return all(
            # A day of a former stream has no message of this one.
            span.last <= self.sequence or (span.created and _moment_of(span.created) < self.since)
            for span in spans
            if span.stream == MEASUREMENT.stream
        )

    def within(self, table: pa.Table) -> pa.Table:
        """Return the rows within the limit."""
        of_stream = pc.less_equal(table["sequence"], self.sequence)
        return table.filter(
            pc.or_(of_stream, pc.less(table["stored"].cast(pa.int64()), int(self.since * MICROS)))
            if self.since > -inf
            else of_stream
        )


def message_limit(storage: Storage, sealed: Iterable[Manifest], sequence: int, before: float) -> MessageLimit:
    """Return the limit for numbers that were published before a moment and count messages up to ``sequence``.

    The sequence is that of the newest stream at that moment. Raises StateError when the storage cannot be read.
    """
    if sequence == ALL:
        return MessageLimit()
    spans = (span for manifest in sealed for span in manifest.streams)
    created = {span.created for span in spans if span.stream == MEASUREMENT.stream}
    if archived := read_position(storage, MEASUREMENT):
        created.add(archived.created)
    moments = sorted(_moment_of(one) for one in created if one)
    return MessageLimit(sequence, max((one for one in moments if one < before), default=min(moments, default=-inf)))


def _moment_of(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()
