"""Reads and extends logs that are files of JSON lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from services.core import files
from services.core.errors import StateError


class JsonLinesFile:
    """A file that lines are appended to. Raises StateError when it cannot be written."""

    def __init__(self, path: Path, kept: Iterable[bytes] | None) -> None:
        """Open the file with these lines in it; None keeps the lines that it has."""
        self._path = path
        try:
            if kept is not None:
                files.replace(path, b"".join(kept))
            self._file = path.open("ab")
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, lines: Iterable[bytes]) -> None:
        """Append lines and flush them to the operating system."""
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def set_modified(self, moment: float) -> None:
        """Set the file's time of modification, in epoch seconds."""
        try:
            os.utime(self._path, (moment, moment))
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # lines that cannot be written, as `append` has reported
            self._file.close()

    def _unwritable(self, error: OSError) -> StateError:
        return StateError(
            f"the sandbox cannot write {self._path}: {error.strerror}; make room or choose another --data"
        )


def encode_line(row: dict[str, Any]) -> bytes:
    """Return a row as a line."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def read_lines(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each row of a log with its line, up to a line torn by a crash. Raises StateError when it is unreadable."""
    try:
        with path.open("rb") as file:
            for line in file:
                yield orjson.loads(line), line
    except ValueError:
        return
    except OSError as error:
        raise StateError(f"the sandbox cannot read {path}: {error.strerror}; choose another --data") from error
