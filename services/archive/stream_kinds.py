"""The streams that are archived, and how their messages become rows (docs/archive.md §2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import pyarrow as pa

from services.core.bus import StoredMessage, columns_of, finding_of, indicator_of, summaries_of
from services.core.codec import decode_sender
from services.dataset.tables import (
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
    """A kind of rows, and how a message of its stream, stored at a time in epoch seconds, becomes them (raises ValueError).

    ``batch`` makes of such a message what accounts for it, where senders number their messages.
    """

    kind: Kind
    rows: Callable[[StoredMessage, float], pa.Table]
    batch: Callable[[StoredMessage, float], StoredBatch] | None = None


def _measured(message: StoredMessage, stored: float) -> pa.Table:
    return measurement_table(columns_of(message), stored=stored, sequence=message.sequence)


def _batch(message: StoredMessage, stored: float) -> StoredBatch:
    sender = decode_sender(message.data)
    run, number, previous = "", UNNUMBERED, b""
    if place := sender.place:
        run, number, previous = place.run.hex(), place.number, place.previous
    digest = sha256(message.data).digest()
    return StoredBatch(sender.vantage, sender.prober, run, number, digest, previous, stored, message.sequence)


def _exchanged(message: StoredMessage, stored: float) -> pa.Table:
    bus, summaries = summaries_of(message)
    return exchange_table(bus, summaries, stored=stored, sequence=message.sequence)


def _published(message: StoredMessage, stored: float) -> pa.Table:
    return indicator_table([indicator_of(message)], stored=stored, sequence=message.sequence)


def _found(message: StoredMessage, stored: float) -> pa.Table:
    return finding_table(finding_of(message), stored=stored, sequence=message.sequence)


STREAM_KINDS: Final = (
    StreamKind(MEASUREMENT, _measured, _batch),
    StreamKind(EXCHANGE, _exchanged),
    StreamKind(INDICATOR, _published),
    StreamKind(FINDING, _found),
)
