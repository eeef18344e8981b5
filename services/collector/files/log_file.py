"""An exchange log on disk: what identifies it, and its records from any position on."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import IO

from services.collector.records import GZIP, START, RecordBatch, SourcePosition, UnreadableError, beginning, read
from services.core.errors import Fault, InputError

__all__ = ["LogFile"]

_IDENTIFYING = 1 << 16  # bytes at the start of a file that tell it from another


class LogFile:
    """A log file, read by its path, or where it is ``held`` open by that, whatever its name is by now. Raises InputError when
    it cannot be read as a whole.
    """

    def __init__(self, path: Path, held: FileIO | None = None) -> None:
        self.path, self._held = path, held

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        try:
            with self._stream() as stream:
                yield stream
        except OSError as error:
            raise InputError("the exchange log", [Fault(str(self.path), 0, 0, str(error.strerror))]) from error
        except UnreadableError as error:
            raise InputError("the exchange log", [Fault(str(self.path), 0, 0, str(error))]) from error

    def _stream(self) -> IO[bytes]:
        if self._held is None:
            return self.path.open("rb")
        stream = os.fdopen(os.dup(self._held.fileno()), "rb")
        stream.seek(0)
        return stream

    def identity(self) -> str:
        """Names the file by its size and its beginning, wherever it lies."""
        with self._open() as stream:
            size = self.path.stat().st_size
            return f"{size}-{blake2b(stream.read(_IDENTIFYING), digest_size=16).hexdigest()}"

    def packed(self) -> bool:
        """Tell whether it is gzip, whose positions are not those of the file."""
        with self._open() as stream:
            return stream.read(2) == GZIP

    def beginning(self, *, settled: bool) -> str | None:
        """Names the file by how it begins, which stays while lines are added; None while that is not written yet."""
        with self._open() as stream:
            found = beginning(stream, settled=settled)
        return None if found is None else blake2b(found, digest_size=16).hexdigest()

    def batches(
        self, start: SourcePosition = START, *, size: int = 1000, settled: bool = True, grows: bool = False
    ) -> Generator[RecordBatch, None, None]:
        """Batches of up to ``size`` lines from ``start`` on, of a file that is not ``settled`` as far as its whole lines go,
        of one that ``grows`` as far as its records go.
        """
        with self._open() as stream:
            yield from read(stream, start, size=size, settled=settled, grows=grows)
