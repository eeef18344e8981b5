"""Reads log files of one path as they appear and grow, each from where it was left (docs/exchange.md §2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.collector.config import FileSource
from services.collector.files.open_files import FileKey, FileState, OpenFiles
from services.collector.intake import Intake
from services.collector.metrics import CollectorMetrics
from services.collector.records import START, Reject
from services.core.errors import InputError
from services.core.log import Logger

__all__ = ["FileTailer"]

_TAKE_LINES = 50_000  # the more together, the fewer pages and summaries change more than once


class FileTailer:
    """Looks at the files of one source again and again. ``wait`` waits so many seconds and tells whether the stop came.

    A file has settled when two looks in a row find it the same: then its last line is read although nothing ends it, if it is
    a record. If it is none it waits: a writer with a buffer leaves half a line in quiet minutes. Lines that end are read at
    once, documents and gzip when they have settled. A file that is renamed or removed is read on, as if it had kept its name,
    until it has settled and is removed, or too many were written since.
    """

    def __init__(
        self,
        source: FileSource,
        intake: Intake,
        metrics: CollectorMetrics,
        log: Logger,
        wait: Callable[[float], Awaitable[bool]],
    ) -> None:
        self._source, self._intake, self._metrics, self._log, self._wait = source, intake, metrics, log, wait
        self._held = OpenFiles(source.path)
        self._seen: dict[FileKey, FileState] = {}
        self._done: dict[FileKey, FileState] = {}
        self._bad: set[FileKey] = set()
        self._waiting: dict[FileKey, int] = {}
        self._found: bool | None = None  # whether there ever was a file; None before the first look
        self._folder = ""  # why it cannot be looked into, as it was told

    async def run(self) -> None:
        """Look, and look again, until the stop."""
        self._intake.begin(self._source.id)
        try:
            while not await self._look() and not await self._wait(self._source.every):
                pass
        finally:
            await self._intake.executor.run(self._held.close)

    async def _look(self) -> bool:
        """Look once, and tell whether the stop came meanwhile."""
        try:
            found = await self._intake.executor.run(self._held.look)
        except InputError as error:
            if self._folder != error.report():
                self._folder = error.report()
                self._failed(error)
            return False
        self._folder = ""
        over = []
        for key, sight in found.items():
            settled = sight.same(self._seen.get(key))
            if not sight.same(self._done.get(key)):
                await self._read(key, sight, settled=settled)
            if sight.gone and (key in self._bad or (sight.removed and settled)):
                over.append(key)
            if await self._wait(0):
                return True
        await self._intake.executor.run(self._held.let_go, over)
        self._keep(found)
        return False

    def _keep(self, found: dict[FileKey, FileState]) -> None:
        """Remember of the files what this look showed, and show how the source is."""
        self._seen = found
        self._done = {key: sight for key, sight in self._done.items() if key in found}
        self._waiting = {key: line for key, line in self._waiting.items() if key in found}
        self._bad.intersection_update(found)
        if not found and self._found is None:
            self._log.info("no_file_found", source=self._source.id, path=str(self._source.path))
        self._found = bool(self._found or found)
        if not self._bad:
            self._metrics.source_up(self._source.id)
            if self._found:
                self._intake.reached(self._source.id)

    async def _read(self, key: FileKey, sight: FileState, *, settled: bool) -> None:
        """Read on in a file; one that cannot be read is tried again when it has changed."""
        try:
            beginning = await self._intake.executor.run(sight.log.beginning, settled=settled)
            if beginning is not None:
                await self._take(key, f"{self._source.id} {key[0].name} {beginning}", sight, settled=settled)
        except InputError as error:
            self._failed(error)
            self._bad.add(key)
        else:
            self._bad.discard(key)
        if settled:
            self._done[key] = sight

    def _failed(self, error: InputError) -> None:
        self._metrics.source_failed(self._source.id, "unreadable")
        self._log.warning("source_failed", source=self._source.id, failure="unreadable", reason=error.report())

    async def _take(self, key: FileKey, name: str, sight: FileState, *, settled: bool) -> None:
        position = await self._intake.position(name) or START
        if position.offset > sight.size and not await self._intake.executor.run(sight.log.packed):
            position = START  # it was emptied, and begins again
        batches = sight.log.batches(position, size=_TAKE_LINES, settled=settled, grows=True)
        while (batch := await self._intake.executor.run(next, batches, None)) is not None:
            if batch.waiting is not None:
                self._waits(key, batch.waiting)
            else:
                await self._intake.take(name, self._source.id, batch)
            if await self._wait(0):
                return

    def _waits(self, key: FileKey, line: Reject) -> None:
        """Tell once of a line that waits for its end."""
        if self._waiting.get(key) != line.number:
            self._waiting[key] = line.number
            self._log.info(
                "line_waiting",
                source=self._source.id,
                file=key[0].name,
                line=line.number,
                length=line.length,
                reason=line.reason,
            )
