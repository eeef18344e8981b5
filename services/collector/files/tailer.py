"""Reads log files of one path as they appear and grow, each from where it stopped (docs/exchange.md §2.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.collector.config import FileSource
from services.collector.files.log_file import TAKE_LINES, path_text
from services.collector.files.open_files import FileKey, FileState, OpenFiles
from services.collector.intake import Intake
from services.collector.ledger import ClockBehindError
from services.collector.metrics import CollectorMetrics
from services.collector.records import START, Reject
from services.core.errors import InputError
from services.core.log import Logger


@dataclass(eq=False)
class FileTailer:
    """Looks at the files of one source again and again.

    ``wait`` waits for some seconds and returns whether the stop has come.

    Complete lines are read at once, documents and gzip once the file has settled. A file has settled when two looks in
    a row find it unchanged. Then a last line without an end is read as well, if it is a record. Otherwise it waits,
    since a buffered writer may leave half a line in quiet minutes. A file that is renamed or removed is read as if it
    had kept its name, until it has settled and is removed, or until too many files were written since.
    """

    source: FileSource
    intake: Intake
    metrics: CollectorMetrics
    log: Logger
    wait: Callable[[float], Awaitable[bool]]
    _seen: dict[FileKey, FileState] = field(default_factory=dict, init=False)
    _done: dict[FileKey, FileState] = field(default_factory=dict, init=False)
    _unreadable: dict[FileKey, str] = field(default_factory=dict, init=False)  # with the failure reported
    _early: set[FileKey] = field(default_factory=set, init=False)  # with records ahead of the clock
    _waiting: dict[FileKey, int] = field(default_factory=dict, init=False)
    _found: bool | None = field(default=None, init=False)  # whether there was ever a file; None before the first look
    _folder_failure: str = field(default="", init=False)  # the last one reported

    def __post_init__(self) -> None:
        self._files = OpenFiles(self.source.path)

    async def run(self) -> None:
        """Look at the files until the stop."""
        self.intake.begin(self.source.id)
        try:
            while not await self._look() and not await self.wait(self.source.every):
                pass
        finally:
            await self.intake.executor.run(self._files.close)

    async def _look(self) -> bool:
        """Look once; return whether the stop has come."""
        try:
            files = await self.intake.executor.run(self._files.look)
        except InputError as error:
            if self._folder_failure != error.report():
                self._folder_failure = error.report()
                self._failed(error.report())
            return False
        self._folder_failure = ""
        finished = []
        for key, state in files.items():
            settled = state.same(self._seen.get(key))
            if not state.same(self._done.get(key)):
                await self._read(key, state, settled=settled)
            if state.gone and key not in self._early and (key in self._unreadable or (state.removed and settled)):
                finished.append(key)
            if await self.wait(0):
                return True
        await self.intake.executor.run(self._files.release, finished)
        self._remember(files)
        return False

    def _remember(self, files: dict[FileKey, FileState]) -> None:
        """Keep what this look found of the files, and update the metrics of the source."""
        self._seen = files
        self._done = {key: state for key, state in self._done.items() if key in files}
        self._waiting = {key: line for key, line in self._waiting.items() if key in files}
        self._unreadable = {key: failure for key, failure in self._unreadable.items() if key in files}
        self._early.intersection_update(files)
        if not files and self._found is None:
            self.log.info("no_file_found", source=self.source.id, path=str(self.source.path))
        self._found = bool(self._found or files)
        if not self._unreadable and not self._early:
            self.metrics.source_up(self.source.id)
            if self._found:
                self.intake.reached(self.source.id)

    async def _read(self, key: FileKey, state: FileState, *, settled: bool) -> None:
        """Continue reading a file.

        One with damaged content is tried again when it has changed, and one that the system does not let us read, or that
        is ahead of the clock, with every look.
        """
        try:
            beginning = await self.intake.executor.run(state.log.beginning, settled=settled)
            if beginning is not None:
                await self._take(key, f"{self.source.id} {path_text(key[0].name)} {beginning}", state, settled=settled)
        except ClockBehindError as error:
            if key not in self._early:
                self._failed(f"{path_text(state.log.path)}: {error}")
            self._early.add(key)
            return
        except InputError as error:
            if self._unreadable.get(key) != error.report():
                self._unreadable[key] = error.report()
                self._failed(error.report())
            settled = settled and not isinstance(error.__cause__, OSError)
        else:
            self._unreadable.pop(key, None)
        self._early.discard(key)
        if settled:
            self._done[key] = state

    def _failed(self, reason: str) -> None:
        self.metrics.source_failed(self.source.id, "unreadable")
        self.log.warning("source_failed", source=self.source.id, failure="unreadable", reason=reason)

    async def _take(self, key: FileKey, name: str, state: FileState, *, settled: bool) -> None:
        run = self.intake.executor.run
        position = await self.intake.position(name) or START
        if position.offset > state.size and not await run(state.log.is_gzip):
            position = START  # the file was truncated, and begins again
        batches = state.log.batches(position, size=TAKE_LINES, settled=settled, grows=True, columns=self.source.columns)
        while (batch := await run(next, batches, None)) is not None:
            if batch.waiting is not None:
                self._log_waiting(key, batch.waiting)
            else:
                await self.intake.take(name, self.source.id, batch)
            if await self.wait(0):
                return

    def _log_waiting(self, key: FileKey, line: Reject) -> None:
        """Log once that a line waits for its end."""
        if self._waiting.get(key) != line.number:
            self._waiting[key] = line.number
            self.log.info(
                "line_waiting",
                source=self.source.id,
                file=path_text(key[0].name),
                line=line.number,
                length=line.length,
                reason=line.reason,
            )
