"""Replays one log as if it happened now, from where an earlier run stopped (docs/exchange.md §7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.collector.files.log_file import LogFile, path_text
from services.collector.intake import Intake
from services.collector.ledger import Ledger
from services.collector.records import START, LogExtent, PacedBatches, RecordBatch, ReplayTimeline
from services.core.errors import StateError
from services.core.log import Logger

_READ_LINES = 50  # small steps, so that a replay keeps time …
_TAKE_LINES = 4000  # … which are joined when they are due together


@dataclass(eq=False)
class Replayer:
    """Ingests a log at the pace of its timeline.

    ``now_ms`` is the clock, in milliseconds since 1970. ``wait`` waits for some seconds and returns whether the stop
    has come.
    """

    source: LogFile
    intake: Intake
    ledger: Ledger
    log: Logger
    now_ms: Callable[[], int]
    wait: Callable[[float], Awaitable[bool]]

    async def run(self, seconds: float) -> None:
        """Replay the log within ``seconds``, until its end or the stop.

        Raises StateError if the state is of another log.
        """
        name, run = path_text(self.source.path.name), self.intake.executor.run
        identity = await run(self.source.identity)
        position = await self.intake.position(identity)
        if position is None:
            if self.ledger.timeline is not None:
                raise StateError(
                    f"the collector's state replays another log than {path_text(self.source.path)}: give it a new data directory"
                )
            extent = await self._extent()
            if extent is None:
                return
            await run(self.ledger.replay, identity, ReplayTimeline.over(extent, self.now_ms(), seconds))
            position = START
        batches = PacedBatches(self.source.batches(position, size=_READ_LINES), self._due, _TAKE_LINES)
        while (batch := await run(batches.take, self.now_ms())) is not None:
            if await self.wait((self._due(batch) - self.now_ms()) / 1000):
                return
            await self.intake.take(identity, name, batch)
            if batch.sides:
                self.intake.reached(name, self._due(batch))
        self.log.info("replay_finished", source=name)

    async def _extent(self) -> LogExtent | None:
        """Read the whole log once to find the time that it spans; return None if the stop comes first."""
        extent = LogExtent()
        batches = self.source.batches()
        while (batch := await self.intake.executor.run(next, batches, None)) is not None:
            for side in batch.sides:
                extent = extent.including(side.request_in)
            if await self.wait(0):
                return None
        return extent

    def _due(self, batch: RecordBatch) -> int:
        assert self.ledger.timeline is not None
        return self.ledger.timeline.place(batch.newest or 0)
