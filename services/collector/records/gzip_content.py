"""Reads the content of a gzip file within limits: a megabyte of gzip can unpack to a gigabyte of line feeds."""

from __future__ import annotations

import gzip
import os
from typing import IO, Final

GZIP: Final = b"\x1f\x8b"

LARGEST_RATIO: Final = 256
"""Bytes that each byte of a file may unpack to. Logs reach 30, gzip 1,030."""

LINES_PER_BYTE: Final = 1
"""Lines that each byte of a file may unpack to. A record has an id or a time of its own, which takes several bytes."""

FREE_BYTES: Final = 64 << 20
FREE_LINES: Final = 100_000
"""What any file may unpack to beyond these."""


class UnreadableError(ValueError):
    """A file that cannot be read as a whole; the message quotes no content."""


class GzipContent(gzip.GzipFile):
    """The lines in a gzip file. Raises UnreadableError when it unpacks to far more than logs do."""

    def __init__(self, stream: IO[bytes]) -> None:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        super().__init__(fileobj=stream, mode="rb")
        self._bytes_left = FREE_BYTES + LARGEST_RATIO * size
        self._lines_left = FREE_LINES + LINES_PER_BYTE * size

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, or ``size`` bytes of it."""
        line = super().readline(size)
        self._lines_left -= 1
        self._bytes_left -= len(line)
        if self._lines_left < 0 or self._bytes_left < 0:
            raise UnreadableError("its gzip data unpack to too much for their size: if they are right, unpack the file")
        return line
