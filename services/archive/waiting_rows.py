"""Keeps the rows of a stream in memory until they are written to the dataset (docs/archive.md §2)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyarrow as pa

from services.archive.metrics import ArchiveMetrics
from services.archive.stream_kinds import StreamKind
from services.core.bus import StoredMessage
from services.core.log import Logger
from services.dataset.days import EvidenceDays, SealedMessages, Segment, drop_uncommitted, write_segments
from services.dataset.positions import ArchivedUpTo
from services.dataset.storage import Storage
from services.dataset.tables import BATCH, StoredBatch, batch_table


class WaitingRows:
    """The rows of messages that are not in the dataset, in the order of the messages."""

    def __init__(self, what: StreamKind, metrics: ArchiveMetrics, log: Logger) -> None:
        self._what, self._metrics, self._log = what, metrics, log
        self._since = 0.0
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._tables: list[pa.Table] = []
        self._batches: list[StoredBatch] = []
        self.count = 0

    def __bool__(self) -> bool:
        return bool(self._tables)  # a message may have no rows

    @property
    def age(self) -> float:
        """For how many seconds the first message has waited."""
        return time.monotonic() - self._since

    def add(self, messages: Sequence[StoredMessage], stored: Sequence[float]) -> None:
        """Add the rows of messages and the moment at which each was stored. A message that cannot be read has none.

        They become one table, because a table of one row costs as much as one of a hundred.
        """
        batches: list[StoredBatch] = []
        try:
            table = self._what.rows(messages, stored)
            if self._what.batch:
                batches = [self._what.batch(*one) for one in zip(messages, stored, strict=True)]
        except (ValueError, OverflowError) as error:
            if len(messages) > 1:
                for message, moment in zip(messages, stored, strict=True):
                    self.add([message], [moment])
                return
            self._metrics.rejected(self._what.kind.name)
            sequence = messages[0].sequence
            self._log.warning("message_rejected", stream=self._what.kind.stream, sequence=sequence, reason=str(error))
            table = self._what.kind.schema.empty_table()
        if not self._tables:
            self._since = time.monotonic()
        self._tables.append(table)
        self._batches += batches
        self.count += table.num_rows

    def write(
        self,
        storage: Storage,
        first: int,
        archived: ArchivedUpTo,
        days: EvidenceDays,
        sealed: SealedMessages,
        *,
        again: bool,
    ) -> list[Segment]:
        """Write the rows of messages ``first`` up to a position as segments. Raises StateError.

        With ``again``, segments of an attempt that failed are removed first: they would repeat messages of this one.
        """
        batches = [batch_table(tuple(self._batches))] if self._batches else []
        parts = ((self._what.kind, self._tables, sealed), (BATCH, batches, SealedMessages()))
        last, generation = archived.sequence, archived.generation
        if again:
            for kind in self._what.kinds:
                drop_uncommitted(storage, kind, first - 1, generation)
        return [
            segment
            for kind, tables, missed in parts
            for segment in write_segments(storage, kind, tables, first, last, days, generation, missed)
        ]
