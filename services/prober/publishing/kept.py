"""Batches that the bus has acknowledged, kept for a while: an acknowledgement is not the last copy (ADR 99).

A file holds what was acknowledged within a minute, in the form of a batch of the spool, so that it can be one again. Its name
says up to which sequence the stream had given out when the bus acknowledged it.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIX: Final = ".kept"
_NAME: Final = re.compile(rf"(\d{{20}})-(\d{{20}}){re.escape(SUFFIX)}")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of acknowledged batches from ``number`` on, written at ``written`` (epoch seconds).

    ``sequence`` is the highest that they got.
    """

    path: Path
    number: int
    size: int
    written: float
    sequence: int


class KeptFiles:
    """The files of acknowledged batches in a folder, oldest first; up to ``limit`` bytes, for ``seconds``."""

    def __init__(self, folder: Path, limit: int, seconds: float) -> None:
        self._folder, self._limit, self._seconds = folder, limit, seconds
        self._files: deque[KeptFile] = deque()
        self.size = 0

    @property
    def sequence(self) -> int:
        """The highest sequence that a kept batch got, 0 without one."""
        return max((file.sequence for file in self._files), default=0)

    def open(self) -> int:
        """Take over what an earlier run left; return a number above all of its. Raises OSError."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if found := _NAME.fullmatch(path.name):
                status = path.stat()
                self.add(KeptFile(path, int(found[1]), status.st_size, status.st_mtime, int(found[2])))
        return max((file.number + 1 for file in self._files), default=0)

    def path(self, number: int, sequence: int) -> Path:
        """Return where the batches from ``number`` on belong."""
        return self._folder / f"{number:020d}-{sequence:020d}{SUFFIX}"

    def add(self, file: KeptFile) -> None:
        """Add a file that was written."""
        self._files.append(file)
        self.size += file.size

    def put_back(self, file: KeptFile) -> None:
        """Put a file back that was taken out: it cannot be read now."""
        self._files.insert(sum(other.number < file.number for other in self._files), file)
        self.size += file.size

    def prune(self, now: float) -> None:
        """Remove what is too old at a moment (epoch seconds), and the oldest of what is too much."""
        while self._files and (self.size > self._limit or now - self._files[0].written > self._seconds):
            with suppress(OSError):  # the disk is read-only or gone
                self._take(0).path.unlink(missing_ok=True)

    def since(self, sequence: int, before: int) -> KeptFile | None:
        """Take out the oldest file of a number below ``before`` with a batch that got ``sequence`` or a later one, if any."""
        for place, file in enumerate(self._files):
            if file.number < before and file.sequence >= sequence:
                return self._take(place)
        return None

    def _take(self, place: int) -> KeptFile:
        file = self._files[place]
        del self._files[place]
        self.size -= file.size
        return file
