"""Where every source hands in what it read: into the ledger, the metrics and the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from services.collector.ledger import Desk, Ledger, Taken
from services.collector.metrics import Meters
from services.collector.records import Batch, Position, Reject
from services.core.log import Logger

__all__ = ["Intake"]

_LOGGED: Final = 100  # rejects to a line of the log


class Intake:
    """Takes batches in. ``now_ms`` is the clock, milliseconds since 1970."""

    def __init__(self, desk: Desk, ledger: Ledger, meters: Meters, log: Logger, now_ms: Callable[[], int]) -> None:
        self.desk, self._ledger, self._meters, self._log, self._now_ms = desk, ledger, meters, log, now_ms

    async def position(self, name: str) -> Position | None:
        """Where reading of a source goes on; None when it was never begun."""
        return await self.desk.do(self._ledger.position, name)

    async def rename(self, name: str, other: str) -> None:
        """Keep the position of a source under another name, unless one is kept under that already."""
        await self.desk.do(self._ledger.rename, name, other)

    def begin(self, label: str) -> None:
        """Show that a source is read from now on; ``label`` is what it is called by people.

        Its newest exchange counts from here: what it brings from before is a backlog, not a silence.
        """
        self._meters.newest(label, self._now_ms())

    def reached(self, label: str, moment_ms: int | None = None) -> None:
        """Show that a source was read up to a moment; up to now, where none is given."""
        self._meters.reached(label, self._now_ms() if moment_ms is None else moment_ms)

    async def take(self, name: str, label: str, batch: Batch, asked_from_ms: int | None = None) -> Taken:
        """Count a batch and move its source on, in one transaction; ``asked_from_ms`` as in Ledger.take."""
        now_ms = self._now_ms()
        taken = await self.desk.do(self._ledger.take, name, batch, now_ms=now_ms, asked_from_ms=asked_from_ms)
        self._meters.took(taken)
        if batch.newest is not None:
            self._meters.newest(label, min(batch.newest, now_ms))  # a clock that is ahead does not hide a silence
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
