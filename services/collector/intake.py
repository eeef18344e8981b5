"""Passes the batches of every source to the ledger, the metrics and the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from services.collector.ledger import Ledger, LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.records import RecordBatch, Reject, SourcePosition
from services.core.log import Logger

_REJECTS_PER_LINE: Final = 100  # of the log
_MOST_REJECTS: Final = 1000  # of a batch that are logged one by one


@dataclass(eq=False)
class Intake:
    """Takes in batches. ``now_ms`` is the clock, in milliseconds since 1970.

    A source has a ``name`` in the ledger, which identifies its position, and a ``label`` in metrics and log.
    """

    executor: LedgerExecutor
    ledger: Ledger
    metrics: CollectorMetrics
    log: Logger
    now_ms: Callable[[], int]

    async def position(self, name: str) -> SourcePosition | None:
        """Return where to continue reading a source; None if nothing of it was read."""
        return await self.executor.run(self.ledger.position, name)

    def begin(self, label: str) -> None:
        """Record that reading a source begins.

        Its newest exchange counts from now: older ones are a backlog, not a silence.
        """
        self.metrics.newest(label, self.now_ms())

    def reached(self, label: str, moment_ms: int | None = None) -> None:
        """Record that a source was read up to a moment, by default up to now."""
        self.metrics.reached(label, self.now_ms() if moment_ms is None else moment_ms)

    async def take(self, name: str, label: str, batch: RecordBatch, asked_from_ms: int | None = None) -> None:
        """Count a batch and advance its source, in one transaction. Arguments and errors are as in Ledger.take."""
        now_ms = self.now_ms()
        result = await self.executor.run(self.ledger.take, name, batch, now_ms=now_ms, asked_from_ms=asked_from_ms)
        self.metrics.took(result)
        if batch.newest is not None:
            self.metrics.newest(label, min(batch.newest, now_ms))  # a clock that is ahead does not hide a silence
        rejects = sorted((*batch.rejects, *result.refused))
        self.log.info(
            "records_taken",
            source=label,
            line=batch.position.line,
            records=result.read,
            duplicates=result.duplicates,
            expired=result.expired,
            rejects=_as_dicts(rejects[:_REJECTS_PER_LINE]),
        )
        for start in range(_REJECTS_PER_LINE, min(len(rejects), _MOST_REJECTS), _REJECTS_PER_LINE):
            part = rejects[start : start + _REJECTS_PER_LINE]
            self.log.info("records_rejected", source=label, rejects=_as_dicts(part))
        if len(rejects) > _MOST_REJECTS:
            self.log.info("more_records_rejected", source=label, records=len(rejects) - _MOST_REJECTS)


def _as_dicts(rejects: Sequence[Reject]) -> list[dict[str, object]]:
    return [{name: value for name, value in asdict(reject).items() if name != "unit"} for reject in rejects]
