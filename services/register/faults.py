"""Collects the faults of a register's files, with their locations. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from services.core.errors import Fault

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Location:
    """A file, and a 1-based line and column in it (0: the file as a whole)."""

    file: str
    line: int = 0
    column: int = 0


class FaultList(list[Fault]):
    """The faults found so far. Reading continues after each, so that one run finds all of them.

    ``warnings`` are about what works, and is unsafe or probably a mistake (ADR 63); they never make a register invalid.
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
