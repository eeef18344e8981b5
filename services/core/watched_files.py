"""Values read from files, and read again when the files have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

_SETTLED_NS = 100_000_000  # longer than one tick of any file system's clock


def file_stamps(paths: Sequence[Path]) -> tuple[tuple[int, int, int], ...]:
    """Return inode, size and modification time (ns) of each file; equal while the content is equal. Raises OSError."""
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in paths))


class WatchedFiles(Generic[T]):
    """A value that ``read`` makes of some files.

    ``get`` checks the files at most every ``interval`` seconds of ``clock`` and calls ``read`` again only when one of
    them has changed. It raises any error of ``read``, and the next ``get`` tries again. With ``failed``, it calls that
    with the error instead and keeps the previous value. While each check fails for the same reason, it calls that once.
    It raises the error only when there is no value yet.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[], T],
        *,
        interval: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self.paths = paths
        self._read = read
        self._interval = interval
        self._clock = clock
        self._failed = failed
        self._due = -inf
        self._stamps: tuple[tuple[int, int, int], ...] = ()
        self._reason = ""  # why the last check failed
        self._value: T

    def get(self) -> T:
        """Return the value of the files as they are. Raises OSError when one is missing, and whatever ``read`` raises."""
        now = self._clock()
        if now < self._due:
            return self._value
        try:
            self._look()
            self._reason = ""
        except Exception as error:
            if self._failed is None or not hasattr(self, "_value"):
                raise
            if repr(error) != self._reason:  # an error may have no text
                self._reason = repr(error)
                self._failed(error)
        self._due = now + self._interval
        return self._value

    def _look(self) -> None:
        stamps = file_stamps(self.paths)
        if not self._stamps or stamps != self._stamps:
            self._value = self._read()
            # A file written twice in one tick of the file system's clock keeps its stamp: read a new one once more.
            settled = time.time_ns() - max(modified for _, _, modified in stamps) > _SETTLED_NS
            self._stamps = stamps if settled else ()
