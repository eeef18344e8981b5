"""Keeps batches for a while after the bus has acknowledged them, because the bus may still lose them (ADR 99).

A file holds the batches that were acknowledged within a minute, in the form of a batch of the spool, so that it can be
one again. Its name says up to which sequence the stream had given out when the bus acknowledged them.
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

    ``sequence`` is the highest sequence that they got.
    """

    path: Path
    number: int
    size: int
    written: float
    sequence: int


class KeptFiles:
    """The files of acknowledged batches in a folder, oldest first, kept for ``seconds`` and up to ``limit`` bytes."""

    def __init__(self, folder: Path, limit: int, seconds: float) -> None:
        self._folder, self._limit, self._seconds = folder, limit, seconds
        self._files: deque[KeptFile] = deque()
        self.size = 0

    @property
    def sequence(self) -> int:
        """The highest sequence that a kept batch got, 0 without one."""
        return max((file.sequence for file in self._files), default=0)

    def open(self) -> int:
        """Take over the files that an earlier run left. Return a number above all of theirs. Raises OSError."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if found := _NAME.fullmatch(path.name):
                status = path.stat()
                self.add(KeptFile(path, int(found[1]), status.st_size, status.st_mtime, int(found[2])))
        return max((file.number + 1 for file in self._files), default=0)

    def path(self, number: int, sequence: int) -> Path:
        """Return the path of the file for the batches from ``number`` on."""
        return self._folder / f"{number:020d}-{sequence:020d}{SUFFIX}"

    def add(self, file: KeptFile) -> None:
        """Add a file that was written."""
        self._files.append(file)
        self.size += file.size

    def put_back(self, file: KeptFile) -> None:
        """Put back a file that was taken out, because it cannot be read now."""
        self._files.insert(sum(other.number < file.number for other in self._files), file)
        self.size += file.size

    def prune(self, now: float) -> None:
        """Remove files that are too old at ``now`` (epoch seconds), then the oldest while there are too many bytes."""
        while self._files and (self.size > self._limit or now - self._files[0].written > self._seconds):
            with suppress(OSError):  # the disk is read-only or gone
                self._take(0).path.unlink(missing_ok=True)

    def since(self, sequence: int, before: int) -> KeptFile | None:
        """Take out the oldest file below number ``before`` that holds ``sequence`` or a later one, if there is one."""
        for place, file in enumerate(self._files):
            if file.number < before and file.sequence >= sequence:
                return self._take(place)
        return None

    def _take(self, place: int) -> KeptFile:
        file = self._files[place]
        del self._files[place]
        self.size -= file.size
        return file
