"""Reads log files of one path as they appear and grow, each from where it was left (EXCHANGE.md, Taking them in)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from services.collector.batch import START, Reject
from services.collector.intake import Intake
from services.collector.meters import Meters
from services.collector.source import LogFile
from services.collector.sources import FileSource
from services.core.errors import InputError
from services.core.log import Logger

__all__ = ["Follower"]

_TAKE_LINES = 50_000  # the more together, the fewer pages and summaries change more than once


@dataclass(frozen=True, slots=True)
class _State:
    """What a look at a file shows of it."""

    size: int
    written_ns: int


class Follower:
    """Looks at the files of one source again and again. ``wait`` waits so many seconds and tells whether the stop came.

    A file has settled when two looks in a row find it the same: then its last line is read although nothing ends it, if it is
    a record. If it is none it waits: a writer with a buffer leaves half a line in quiet minutes. Lines that end are read at
    once, documents and gzip when they have settled.
    """

    def __init__(
        self, source: FileSource, intake: Intake, meters: Meters, log: Logger, wait: Callable[[float], Awaitable[bool]]
    ) -> None:
        self._source, self._intake, self._meters, self._log, self._wait = source, intake, meters, log, wait
        self._seen: dict[Path, _State] = {}
        self._done: dict[Path, _State] = {}
        self._bad: set[Path] = set()
        self._waiting: dict[Path, int] = {}

    async def run(self) -> None:
        """Look, and look again, until the stop."""
        self._intake.begin(self._source.id)
        while True:
            found = await self._intake.desk.do(_files, self._source.path)
            for path, state in found.items():
                settled = self._seen.get(path) == state
                if self._done.get(path) != state:
                    await self._read(path, state, settled=settled)
                if await self._wait(0):
                    return
            self._seen = found
            self._done = {path: state for path, state in self._done.items() if path in found}
            self._waiting = {path: line for path, line in self._waiting.items() if path in found}
            self._bad.intersection_update(found)
            if not self._bad:
                self._meters.source_up(self._source.id)
                self._intake.reached(self._source.id)
            if await self._wait(self._source.every):
                return

    async def _read(self, path: Path, state: _State, *, settled: bool) -> None:
        """Read on in a file; one that cannot be read is tried again when it has changed."""
        log = LogFile(path)
        try:
            beginning = await self._intake.desk.do(log.beginning, settled=settled)
            if beginning is not None:
                await self._take(log, f"{self._source.id} {path.name} {beginning}", state, settled=settled)
        except InputError as error:
            self._meters.source_failed(self._source.id, "unreadable")
            self._log.warning("source_failed", source=self._source.id, failure="unreadable", reason=error.report())
            self._bad.add(path)
        else:
            self._bad.discard(path)
        if settled:
            self._done[path] = state

    async def _take(self, log: LogFile, name: str, state: _State, *, settled: bool) -> None:
        position = await self._intake.position(name) or START
        if position.offset > state.size and not await self._intake.desk.do(log.packed):
            position = START  # it was emptied, and begins again
        batches = log.batches(position, size=_TAKE_LINES, settled=settled, grows=True)
        while (batch := await self._intake.desk.do(next, batches, None)) is not None:
            if batch.waiting is not None:
                self._waits(log.path, batch.waiting)
            else:
                await self._intake.take(name, self._source.id, batch)
            if await self._wait(0):
                return

    def _waits(self, path: Path, line: Reject) -> None:
        """Tell once of a line that waits for its end."""
        if self._waiting.get(path) != line.number:
            self._waiting[path] = line.number
            self._log.info(
                "line_waiting",
                source=self._source.id,
                file=path.name,
                line=line.number,
                length=line.length,
                reason=line.reason,
            )


def _files(pattern: Path) -> dict[Path, _State]:
    found = {}
    for path in sorted(pattern.parent.glob(pattern.name)):
        try:
            stat = path.stat()
        except OSError:
            continue  # it went away while we looked
        if S_ISREG(stat.st_mode):
            found[path] = _State(stat.st_size, stat.st_mtime_ns)
    return found
