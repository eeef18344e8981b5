"""Limits the rows read from a dataset to messages up to one, also after the stream was recreated (docs/archive.md §6)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.dataset.days import Manifest, StreamSpan
from services.dataset.positions import ArchivedUpTo, read_position
from services.dataset.storage import Storage
from services.dataset.tables import INDICATOR, MEASUREMENT, MICROS, Kind
from services.indicator.calendar import Calendar

ALL: Final = int(np.iinfo(np.int64).max)

_NOTICED_SECONDS: Final = 600.0
"""The scorer notices a recreated stream within this time. Until then it publishes numbers of the former stream."""

ReadNear = Callable[[Kind, int, Sequence[str]], Iterator[pa.Table]]
"""Reads some columns of a kind of rows, of the days around a moment (epoch seconds)."""


@dataclass(frozen=True, slots=True)
class MessageLimit:
    """Messages up to ``sequence`` of the stream that was created at ``since``, all of former ones, and none of later ones.

    The next stream was created at ``until``. Both are in epoch seconds.
    """

    sequence: int = ALL
    since: float = -inf
    until: float = inf

    def is_beyond(self, archived: ArchivedUpTo) -> bool:
        """Return whether messages up to the limit may be missing from a dataset. It has all those ``archived``.

        The archive writes each stream by itself, so numbers may be in a dataset before their measurements.
        """
        return self.until == inf and self.sequence > archived.sequence

    def has_all(self, spans: Sequence[StreamSpan]) -> bool:
        """Return whether all measurements of a sealed day are within the limit."""
        return all(self._has_all(span) for span in spans if span.stream == MEASUREMENT.stream)

    def _has_all(self, span: StreamSpan) -> bool:
        created = _moment_of(span.created) if span.created else self.since
        return created < self.since or (created < self.until and span.last <= self.sequence)

    def within(self, table: pa.Table) -> pa.Table:
        """Return the rows within the limit."""
        rows = pc.less_equal(table["sequence"], self.sequence)
        stored = table["stored"].cast(pa.int64())
        if self.until < inf:
            rows = pc.and_(rows, pc.less(stored, int(self.until * MICROS)))
        if self.since > -inf:
            rows = pc.or_(rows, pc.less(stored, int(self.since * MICROS)))
        return table.filter(rows)


def message_limit(
    storage: Storage,
    sealed: Iterable[Manifest],
    sequence: int,
    near: ReadNear,
    calendar: Calendar,
    end_slot: int,
) -> MessageLimit:
    """Return the limit for the numbers as of the start of ``end_slot`` that count messages up to ``sequence``.

    The sequence is that of the newest stream when the numbers were published, or of the one before if the newest was
    made shortly before and had no such message yet. Rows that are read ``near`` say when that was; without any, it is
    taken to be a slot later. Raises StateError when the storage cannot be read.
    """
    if sequence == ALL:
        return MessageLimit()
    spans = (span for manifest in sealed for span in manifest.streams)
    created = {span.created for span in spans if span.stream == MEASUREMENT.stream}
    if archived := read_position(storage, MEASUREMENT):
        created.add(archived.created)
    moments = sorted(_moment_of(one) for one in created if one)
    if len(moments) < 2:
        return MessageLimit(sequence, *moments)
    at, later = calendar.start_of(end_slot), calendar.start_of(end_slot + 1)
    published = min(_published(near, sequence, at), default=later)
    following = max(1, bisect_left(moments, published))
    newest = moments[following - 1]
    doubtful = following > 1 and published < newest + _NOTICED_SECONDS
    if doubtful and sequence and not _has_come(near, sequence, newest, published):
        following -= 1
    return MessageLimit(sequence, moments[following - 1], *moments[following : following + 1])


def _has_come(near: ReadNear, sequence: int, since: float, until: float) -> bool:
    """Return whether a message with this sequence or a later one was stored between two moments (epoch seconds)."""
    for table in near(MEASUREMENT, int(until), ("sequence", "stored")):
        stored = table["stored"].cast(pa.int64()).to_numpy() / MICROS
        if ((stored >= since) & (stored <= until) & (table["sequence"].to_numpy() >= sequence)).any():
            return True
    return False


def _published(near: ReadNear, sequence: int, at: int) -> Iterator[float]:
    """Yield when numbers as of a moment that count messages up to ``sequence`` were stored, in epoch seconds."""
    for table in near(INDICATOR, at, ("as_of", "evidence_sequence", "stored")):
        is_of = pc.equal(table["as_of"].cast(pa.int64()), at * MICROS)
        rows = table.filter(pc.and_(is_of, pc.equal(table["evidence_sequence"], sequence)))
        yield from rows["stored"].cast(pa.int64()).to_numpy() / MICROS


def _moment_of(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()
