"""Places a replayed log on a timeline from now on, compressed into a given time (docs/exchange.md §7). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from services.collector.records.batch import RecordBatch


@dataclass(frozen=True, slots=True)
class LogExtent:
    """The number of records of a log, and when the first and the last request came in, in milliseconds since 1970."""

    records: int = 0
    first: int = 0
    last: int = 0

    def including(self, request_in: int) -> LogExtent:
        """Return the extent with one more record."""
        if not self.records:
            return LogExtent(1, request_in, request_in)
        return LogExtent(self.records + 1, min(self.first, request_in), max(self.last, request_in))


@dataclass(frozen=True, slots=True)
class ReplayTimeline:
    """Maps moments of the log: ``first`` to ``start``, and ``span`` to ``length``, all in milliseconds.

    It decides only the slot of an exchange. Durations and skew stay those of the log. The default changes nothing.
    """

    first: int = 0
    start: int = 0
    span: int = 1
    length: int = 1

    def place(self, moment: int) -> int:
        """Return the moment that a moment of the log is mapped to."""
        return self.start + (moment - self.first) * self.length // self.span

    @classmethod
    def over(cls, extent: LogExtent, now_ms: int, seconds: float) -> Self:
        """Fit a whole log within ``seconds`` from now, or within its own span where that is shorter.

        With ``seconds`` 0 nothing is compressed and nothing waits: the log's last record falls on now.
        """
        span = max(1, extent.last - extent.first)
        if seconds <= 0:
            return cls(extent.first, now_ms - span, span, span)
        return cls(extent.first, now_ms, span, min(span, round(seconds * 1000)))


class PacedBatches:
    """Joins small batches of a log while they are due together.

    ``due`` returns when a batch is due, in milliseconds since 1970; a joined batch has up to ``most`` sides.
    """

    def __init__(self, batches: Iterator[RecordBatch], due: Callable[[RecordBatch], int], most: int) -> None:
        self._batches, self._due, self._most = batches, due, most
        self._next: RecordBatch | None = None

    def take(self, now_ms: int) -> RecordBatch | None:
        """Return all that is due by now, or else the next batch; None at the end of the log."""
        batch, self._next = self._next or next(self._batches, None), None
        if batch is None or self._due(batch) > now_ms:
            return batch
        while len(batch.sides) < self._most and (following := next(self._batches, None)) is not None:
            if self._due(following) > now_ms:
                self._next = following
                break
            batch = batch.followed_by(following)
        return batch
