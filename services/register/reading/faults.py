"""What is found wrong with a register: places and a growing list of faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from services.core.errors import Fault

__all__ = ["FaultList", "Location", "read_source"]

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Location:
    """A file, and a 1-based line and column in it (0: the file as a whole)."""

    file: str
    line: int = 0
    column: int = 0

    def shifted(self, characters: int) -> Location:
        """Return a place further right in the same line."""
        return replace(self, column=self.column + characters)


@dataclass(slots=True)
class FaultList:
    """Every fault found so far; reading goes on after each, so that all are found in one go."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, place: Location, reason: str) -> None:
        """Record one fault."""
        self.faults.append(Fault(place.file, place.line, place.column, reason))

    def attempt(self, place: Location, name: str, read: Callable[[str], T], text: str, default: D) -> T | D:
        """Return what ``read`` makes of ``text``, or ``default`` and a fault when it raises ValueError."""
        try:
            return read(text)
        except ValueError as error:
            self.add(place, f"{name}: {error}")
            return default


def read_source(path: Path, findings: FaultList) -> str | None:
    """Read the text of a UTF-8 file with single line feeds, without a byte order mark; None and a fault if it cannot be had."""
    place = Location(str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        findings.add(place, "the file is missing")
        return None
    except OSError as error:
        findings.add(place, f"the file cannot be read: {error.strerror}")
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = _lines(content[: error.start].decode("utf-8")).split("\n")
        place = Location(str(path), len(before), len(before[-1]) + 1)
        findings.add(place, f"byte 0x{content[error.start]:02x} is not UTF-8: save the file as UTF-8")
        return None
    return _lines(text)


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
