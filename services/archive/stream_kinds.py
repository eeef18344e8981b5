"""The streams that are archived, and the functions that turn their messages into rows (docs/archive.md §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import pyarrow as pa

from services.core.bus import StoredMessage, columns_of, finding_of, indicator_of, summaries_of
from services.core.codec import decode_sender
from services.dataset.tables import (
    BATCH,
    EXCHANGE,
    FINDING,
    INDICATOR,
    MEASUREMENT,
    UNNUMBERED,
    Kind,
    StoredBatch,
    exchange_table,
    finding_table,
    indicator_table,
    measurement_table,
)


@dataclass(frozen=True, slots=True)
class StreamKind:
    """A kind of rows, and the functions that make them from messages of its stream.

    ``rows`` takes messages and the time at which the stream stored each, in epoch seconds. ``batch`` returns the record
    that accounts for one message, where senders number their messages. Both raise ValueError or OverflowError for a
    message that cannot be read.
    """

    kind: Kind
    rows: Callable[[Sequence[StoredMessage], Sequence[float]], pa.Table]
    batch: Callable[[StoredMessage, float], StoredBatch] | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds whose segments are named by messages of its stream."""
        return (self.kind, BATCH) if self.batch else (self.kind,)


def _measured(messages: Sequence[StoredMessage], stored: Sequence[float]) -> pa.Table:
    parts = zip(messages, stored, strict=True)
    return _joined(
        measurement_table(columns_of(message), stored=moment, sequence=message.sequence) for message, moment in parts
    )


def _batch(message: StoredMessage, stored: float) -> StoredBatch:
    sender = decode_sender(message.data)
    run, number, previous = "", UNNUMBERED, b""
    if place := sender.place:
        run, number, previous = place.run.hex(), place.number, place.previous
    digest = sha256(message.data).digest()
    return StoredBatch(sender.vantage, sender.prober, run, number, digest, previous, stored, message.sequence)


def _exchanged(messages: Sequence[StoredMessage], stored: Sequence[float]) -> pa.Table:
    parts = zip(map(summaries_of, messages), messages, stored, strict=True)
    return _joined(
        exchange_table(bus, summaries, stored=moment, sequence=message.sequence)
        for (bus, summaries), message, moment in parts
    )


def _published(messages: Sequence[StoredMessage], stored: Sequence[float]) -> pa.Table:
    return indicator_table([*map(indicator_of, messages)], stored=stored, sequence=_sequences(messages))


def _found(messages: Sequence[StoredMessage], stored: Sequence[float]) -> pa.Table:
    return finding_table([*map(finding_of, messages)], stored=stored, sequence=_sequences(messages))


def _joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all tables as one compact table: columns of small tables take more memory than their rows."""
    return pa.concat_tables(tables).combine_chunks()


def _sequences(messages: Sequence[StoredMessage]) -> list[int]:
    return [message.sequence for message in messages]


ARCHIVED_STREAMS: Final = (
    StreamKind(MEASUREMENT, _measured, _batch),
    StreamKind(EXCHANGE, _exchanged),
    StreamKind(INDICATOR, _published),
    StreamKind(FINDING, _found),
)
