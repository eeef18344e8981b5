"""Finds the log files that match one path, and keeps those written last open (docs/exchange.md §2.1).

So a file that is renamed or removed between two looks is still read to its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import filter as matching
from io import FileIO
from pathlib import Path
from stat import S_ISREG

from services.collector.files.log_file import LogFile
from services.core.errors import Fault, InputError

_MOST_OPEN = 64  # of the 1,024 descriptors that a process has by default, with several sources

FileKey = tuple[Path, tuple[int, int]]
"""A file: its path, or its last path, and its device and inode."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file at one look: how to read it, its size in bytes, and when it was last written (ns).

    A ``gone`` file no longer matches the path that is followed. A ``removed`` file has no other name either.
    """

    log: LogFile
    size: int
    written_ns: int
    gone: bool = False
    removed: bool = False

    def same(self, before: FileState | None) -> bool:
        """Return whether nothing was written since another look."""
        return before is not None and (self.size, self.written_ns) == (before.size, before.written_ns)


class OpenFiles:
    """The files that match ``pattern``; up to ``most`` of them stay open until ``close``. For one thread."""

    def __init__(self, pattern: Path, most: int = _MOST_OPEN) -> None:
        self._pattern, self._most = pattern, most
        self._open: dict[tuple[int, int], tuple[Path, FileIO]] = {}

    def look(self) -> dict[FileKey, FileState]:
        """Return the files that match, and after them the open files that no longer match.

        Raises InputError when the folder cannot be listed, which is not the same as an empty folder.
        """
        states = _matching_files(self._pattern)
        self._open_newest(states)
        paths = {inode: path for path, inode in states}
        for inode, (before, stream) in list(self._open.items()):
            path = paths.get(inode, before)
            self._open[inode], log = (path, stream), LogFile(path, stream)
            if inode in paths:
                states[path, inode] = replace(states[path, inode], log=log)
            elif (stat := self._stat(inode)) is not None:
                states[path, inode] = FileState(log, stat.st_size, stat.st_mtime_ns, True, stat.st_nlink == 0)
        return states

    def _stat(self, inode: tuple[int, int]) -> os.stat_result | None:
        """Return the status of an open file. If it is lost, as on a stale NFS mount, close it and return None."""
        try:
            return os.fstat(self._open[inode][1].fileno())
        except OSError:
            self._close(inode)
            return None

    def _close(self, inode: tuple[int, int]) -> None:
        with suppress(OSError):  # of a lost file
            self._open.pop(inode)[1].close()

    def _open_newest(self, states: dict[FileKey, FileState]) -> None:
        """Open the files written last. One that may not be read is skipped: reading it reports the error."""
        for path, inode in sorted(states, key=lambda key: states[key].written_ns)[-self._most :]:
            if inode in self._open:
                continue
            try:
                stream = FileIO(path)
            except OSError:
                continue
            self._open[inode] = path, stream
            stat = self._stat(inode)
            if stat is not None and (stat.st_dev, stat.st_ino) != inode:
                self._close(inode)  # the path is another file by now, which the next look finds

    def release(self, keys: Iterable[FileKey]) -> None:
        """Close these files, and the oldest of the others beyond the limit."""
        for _, inode in keys:
            if inode in self._open:
                self._close(inode)
        stats = {inode: self._stat(inode) for inode in list(self._open)}
        written = {inode: stat.st_mtime_ns for inode, stat in stats.items() if stat is not None}
        for inode in sorted(written, key=written.__getitem__)[: -self._most]:
            self._close(inode)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._close(next(iter(self._open)))


def _matching_files(pattern: Path) -> dict[FileKey, FileState]:
    folder, name = pattern.parent, pattern.name
    states = {}
    try:
        os.stat(f"{folder}/.")  # noqa: PTH116  # a Path would drop the dot, which checks that the folder may be entered
        names = matching(os.listdir(folder), name) if any(mark in name for mark in "*?[") else [name]  # noqa: PTH208  # names
    except OSError as error:
        reason = f"the folder cannot be looked into: {error.strerror}"
        raise InputError("the exchange log", [Fault(str(folder), 0, 0, reason)]) from error
    for path in (folder / name for name in sorted(names)):
        try:
            stat = path.stat()
        except OSError:
            continue  # removed since it was listed
        if S_ISREG(stat.st_mode):
            states[path, (stat.st_dev, stat.st_ino)] = FileState(LogFile(path), stat.st_size, stat.st_mtime_ns)
    return states
