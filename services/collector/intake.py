"""Where every source hands in what it read: into the ledger, the metrics and the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from services.collector.ledger import BatchResult, Ledger, LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.records import RecordBatch, Reject, SourcePosition
from services.core.log import Logger

__all__ = ["Intake"]

_LOGGED: Final = 100  # rejects to a line of the log


class Intake:
    """Takes batches in. ``now_ms`` is the clock, milliseconds since 1970."""

    def __init__(
        self,
        executor: LedgerExecutor,
        ledger: Ledger,
        metrics: CollectorMetrics,
        log: Logger,
        now_ms: Callable[[], int],
    ) -> None:
        self.executor, self._ledger, self._metrics, self._log, self._now_ms = executor, ledger, metrics, log, now_ms

    async def position(self, name: str) -> SourcePosition | None:
        """Where reading of a source goes on; None when it was never begun."""
        return await self.executor.run(self._ledger.position, name)

    async def rename(self, name: str, other: str) -> None:
        """Keep the position of a source under another name, unless one is kept under that already."""
        await self.executor.run(self._ledger.rename, name, other)

    def begin(self, label: str) -> None:
        """Show that a source is read from now on; ``label`` is what it is called by people.

        Its newest exchange counts from here: what it brings from before is a backlog, not a silence.
        """
        self._metrics.newest(label, self._now_ms())

    def reached(self, label: str, moment_ms: int | None = None) -> None:
        """Show that a source was read up to a moment; up to now, where none is given."""
        self._metrics.reached(label, self._now_ms() if moment_ms is None else moment_ms)

    async def take(self, name: str, label: str, batch: RecordBatch, asked_from_ms: int | None = None) -> BatchResult:
        """Count a batch and move its source on, in one transaction; ``asked_from_ms`` as in Ledger.take."""
        now_ms = self._now_ms()
        taken = await self.executor.run(self._ledger.take, name, batch, now_ms=now_ms, asked_from_ms=asked_from_ms)
        self._metrics.took(taken)
        if batch.newest is not None:
            self._metrics.newest(label, min(batch.newest, now_ms))  # a clock that is ahead does not hide a silence
        rejects = sorted((*batch.rejects, *taken.refused))
        self._log.info(
            "records_taken",
            source=label,
            line=batch.position.line,
            records=taken.read,
            duplicates=taken.duplicates,
            expired=taken.expired,
            rejects=_shown(rejects[:_LOGGED]),
        )
        for start in range(_LOGGED, len(rejects), _LOGGED):
            self._log.info("records_rejected", source=label, rejects=_shown(rejects[start : start + _LOGGED]))
        return taken


def _shown(rejects: Sequence[Reject]) -> list[dict[str, object]]:
    return [{name: value for name, value in asdict(reject).items() if name != "unit"} for reject in rejects]
