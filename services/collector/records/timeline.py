"""Where the moments of a replayed log fall today: its first record now, the rest as close behind as asked (docs/exchange.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from services.collector.records.batch import RecordBatch

__all__ = ["LogExtent", "PacedBatches", "ReplayTimeline"]


@dataclass(frozen=True, slots=True)
class LogExtent:
    """How many records a log holds and when the first and the last request came in, in milliseconds since 1970."""

    records: int = 0
    first: int = 0
    last: int = 0

    def and_at(self, request_in: int) -> LogExtent:
        """With one more record."""
        if not self.records:
            return LogExtent(1, request_in, request_in)
        return LogExtent(self.records + 1, min(self.first, request_in), max(self.last, request_in))


@dataclass(frozen=True, slots=True)
class ReplayTimeline:
    """A moment ``first`` of the log falls on ``start``, and ``span`` ms of the log take ``length`` ms. All in milliseconds.

    Only the slot of an exchange follows from it; durations and skew are those of the log. The default changes nothing.
    """

    first: int = 0
    start: int = 0
    span: int = 1
    length: int = 1

    def place(self, moment: int) -> int:
        """Where a moment of the log falls."""
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
    """Small batches of a log, joined while they are due together; ``due`` says when one is, ``most`` sides to a batch."""

    def __init__(self, batches: Iterator[RecordBatch], due: Callable[[RecordBatch], int], most: int) -> None:
        self._batches, self._due, self._most = batches, due, most
        self._held: RecordBatch | None = None

    def take(self, now_ms: int) -> RecordBatch | None:
        """Read on: all that is due by now, or the batch that is due next. None at the end of the log."""
        batch, self._held = self._held or next(self._batches, None), None
        if batch is None or self._due(batch) > now_ms:
            return batch
        while len(batch.sides) < self._most and (following := next(self._batches, None)) is not None:
            if self._due(following) > now_ms:
                self._held = following
                break
            batch = batch.followed_by(following)
        return batch
