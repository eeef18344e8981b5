"""An exchange log on disk: its identity, and its records from any position on."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import IO

from services.collector.records import GZIP, START, RecordBatch, SourcePosition, UnreadableError, first_bytes, read
from services.core.errors import Fault, InputError

TAKE_LINES = 35_000
"""Lines of a log that are taken together: many, so that few summaries change more than once, but not too many for memory."""

_IDENTIFYING = 1 << 16  # bytes at the start of a file that distinguish it from others


def path_text(path: Path | str) -> str:
    """Return a path or a name as UTF-8 text, with other bytes escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class LogFile:
    """A log file, read by its path, or through ``open_file`` if the file may have been renamed.

    Raises InputError when it cannot be read as a whole.
    """

    def __init__(self, path: Path, open_file: FileIO | None = None) -> None:
        self.path, self._open_file = path, open_file

    @contextmanager
    def _stream(self) -> Iterator[IO[bytes]]:
        try:
            with self._reopened() as stream:
                yield stream
        except OSError as error:
            reason = error.strerror or "a pipe cannot be read from the beginning again: save what it gives as a file"
            raise InputError("the exchange log", [Fault(path_text(self.path), 0, 0, reason)]) from error
        except UnreadableError as error:
            raise InputError("the exchange log", [Fault(path_text(self.path), 0, 0, str(error))]) from error

    def _reopened(self) -> IO[bytes]:
        if self._open_file is None:
            return self.path.open("rb")
        stream = os.fdopen(os.dup(self._open_file.fileno()), "rb")
        stream.seek(0)
        return stream

    def identity(self) -> str:
        """Return a name made of the file's size and first bytes, which does not depend on its path."""
        with self._stream() as stream:
            size = self.path.stat().st_size
            return f"{size}-{blake2b(stream.read(_IDENTIFYING), digest_size=16).hexdigest()}"

    def is_gzip(self) -> bool:
        """Return whether the file is gzip. Positions are then not those in the file itself."""
        with self._stream() as stream:
            return stream.read(2) == GZIP

    def beginning(self, *, settled: bool) -> str | None:
        """Return a name made of the file's first bytes, which stay as lines are added; None until they are written."""
        with self._stream() as stream:
            content = first_bytes(stream, settled=settled)
        return None if content is None else blake2b(content, digest_size=16).hexdigest()

    def batches(
        self,
        start: SourcePosition = START,
        *,
        size: int = 1000,
        settled: bool = True,
        grows: bool = False,
        columns: Sequence[str] = (),
    ) -> Generator[RecordBatch, None, None]:
        """Yield batches of up to ``size`` lines from ``start`` on; the other arguments are as in ``records.read``."""
        with self._stream() as stream:
            yield from read(stream, start, size=size, settled=settled, grows=grows, columns=columns)
