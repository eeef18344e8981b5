"""The log files of one path, look by look, those written last kept open in between (docs/exchange.md, Log files).

So one that is renamed or removed between two looks is still read to its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import filter as matching
from io import FileIO
from pathlib import Path
from stat import S_ISREG

from services.collector.files.log_file import LogFile
from services.core.errors import Fault, InputError

__all__ = ["FileKey", "FileState", "OpenFiles"]

_MOST = 64  # of the 1,024 descriptors that a process has by default, with several sources

FileKey = tuple[Path, tuple[int, int]]
"""A file: where it lies, or lay when it was last found, and its device and number there."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What a look at a file shows: how to read it, its size in bytes, when it was written (ns); whether it is ``gone`` from the
    path that is followed, and whether it is ``removed``, so that it has no other name either.
    """

    log: LogFile
    size: int
    written_ns: int
    gone: bool = False
    removed: bool = False

    def same(self, before: FileState | None) -> bool:
        """Tell whether nothing was written since another look."""
        return before is not None and (self.size, self.written_ns) == (before.size, before.written_ns)


class OpenFiles:
    """The files of ``pattern``, of which up to ``most`` stay open until ``close``. For one thread."""

    def __init__(self, pattern: Path, most: int = _MOST) -> None:
        self._pattern, self._most = pattern, most
        self._open: dict[tuple[int, int], tuple[Path, FileIO]] = {}

    def look(self) -> dict[FileKey, FileState]:
        """Find the files at the path, and after them those that are gone from it and still open. Raises InputError when the
        folder cannot be looked into, which is not the same as nothing in it.
        """
        found = _files(self._pattern)
        self._hold(found)
        here = {file: path for path, file in found}
        for file, (before, stream) in self._open.items():
            path = here.get(file, before)
            self._open[file], log = (path, stream), LogFile(path, stream)
            if file in here:
                found[path, file] = replace(found[path, file], log=log)
            else:
                state = os.fstat(stream.fileno())
                found[path, file] = FileState(log, state.st_size, state.st_mtime_ns, True, state.st_nlink == 0)
        return found

    def _hold(self, found: dict[FileKey, FileState]) -> None:
        """Open the files written last, as far as they may be read: reading tells of the others."""
        for path, file in sorted(found, key=lambda key: found[key].written_ns)[-self._most :]:
            if file in self._open:
                continue
            try:
                stream = FileIO(path)
            except OSError:
                continue
            state = os.fstat(stream.fileno())
            if (state.st_dev, state.st_ino) == file:
                self._open[file] = path, stream
            else:
                stream.close()  # another stands there already, for the next look

    def let_go(self, keys: Iterable[FileKey]) -> None:
        """Close these, and of what is left those written longest ago that are too many."""
        for _, file in keys:
            if file in self._open:
                self._open.pop(file)[1].close()
        written = {file: os.fstat(stream.fileno()).st_mtime_ns for file, (_, stream) in self._open.items()}
        for file in sorted(written, key=written.__getitem__)[: -self._most]:
            self._open.pop(file)[1].close()

    def close(self) -> None:
        """Close all of them."""
        while self._open:
            self._open.popitem()[1][1].close()


def _files(pattern: Path) -> dict[FileKey, FileState]:
    folder, name = pattern.parent, pattern.name
    found = {}
    try:
        os.stat(f"{folder}/.")  # noqa: PTH116  # a Path would drop the dot, which asks whether it may be entered
        names = matching(os.listdir(folder), name) if any(mark in name for mark in "*?[") else [name]  # noqa: PTH208  # names
    except OSError as error:
        reason = f"the folder cannot be looked into: {error.strerror}"
        raise InputError("the exchange log", [Fault(str(folder), 0, 0, reason)]) from error
    for path in (folder / name for name in sorted(names)):
        try:
            state = path.stat()
        except OSError:
            continue  # it went away while we looked
        if S_ISREG(state.st_mode):
            found[path, (state.st_dev, state.st_ino)] = FileState(LogFile(path), state.st_size, state.st_mtime_ns)
    return found
