"""Collects the faults of a register's files, with their locations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from services.core.bounded_files import read_bounded
from services.core.errors import Fault

T = TypeVar("T")
D = TypeVar("D")

# A links.csv of a million links has 300 MB.
_SOURCE_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Location:
    """A file, and a 1-based line and column in it (0: the file as a whole)."""

    file: str
    line: int = 0
    column: int = 0


class FaultList(list[Fault]):
    """The faults found so far. Reading continues after each, so that one run finds all of them.

    ``warnings`` are about values that work but are unwise; they never make a register invalid.
    """

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[Fault] = []

    def add(self, location: Location, reason: str) -> None:
        """Record one fault."""
        self.append(Fault(location.file, location.line, location.column, reason))

    def warn(self, location: Location, reason: str) -> None:
        """Record one warning."""
        self.warnings.append(Fault(location.file, location.line, location.column, f"warning: {reason}"))

    def attempt(self, location: Location, name: str, read: Callable[[str], T], text: str, default: D) -> T | D:
        """Return ``read(text)``; when it raises ValueError, record a fault and return ``default``."""
        try:
            return read(text)
        except ValueError as error:
            self.add(location, f"{name}: {error}")
            return default


def read_source(path: Path, faults: FaultList) -> str | None:
    """Read a UTF-8 file with line feeds only and without a byte order mark; None, with a fault, when it cannot be read."""
    location = Location(str(path))
    try:
        content = read_bounded(path, folders=(path.parent,), limit=_SOURCE_LIMIT)
    except FileNotFoundError:
        faults.add(location, "the file is missing")
        return None
    except OSError as error:
        faults.add(location, f"the file cannot be read: {error.strerror}")
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = _lines(content[: error.start].decode("utf-8")).split("\n")
        location = Location(str(path), len(before), len(before[-1]) + 1)
        faults.add(location, f"byte 0x{content[error.start]:02x} is not UTF-8: save the file as UTF-8")
        return None
    return _lines(text)


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
