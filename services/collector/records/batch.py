"""Batches of records: sides, rejected lines, and the position to continue reading from. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.collector.records.xroad import Side
from services.core.errors import Fault


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """How far a source was read.

    In a file, ``offset`` counts bytes (after decompression), and ``line`` counts lines or records of a document. At a
    security server, ``offset`` is the second to continue from.
    """

    offset: int = 0
    line: int = 0


START = SourcePosition()


@dataclass(frozen=True, slots=True, order=True)
class Reject:
    """A line, or a record of a document, that cannot be read or counted, and the reason.

    ``number`` counts from 1. ``length`` is in bytes, 0 if not known.
    """

    number: int
    column: int
    length: int
    reason: str
    unit: str = "line"

    def fault(self, file: str) -> Fault:
        """Return the reject as a fault of ``file``."""
        if self.unit == "line":
            return Fault(file, self.number, self.column, f"{self.reason} (line of {self.length} bytes)")
        length = f" ({self.length} bytes)" if self.length else ""
        return Fault(file, 0, 0, f"{self.reason}{length}", record=self.number)


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Sides in file order, what was rejected among them, and the position after them.

    ``waiting`` is a last line that is left for later: it has no end, and is not a record so far. ``places`` are the number
    and the length of the line of each side, in one flat tuple, which is faster than two objects for each. A record of a
    document has length 0. Places may be left out.
    """

    sides: tuple[Side, ...]
    rejects: tuple[Reject, ...]
    position: SourcePosition
    waiting: Reject | None = None
    places: tuple[int, ...] = ()

    @property
    def newest(self) -> int | None:
        """When the newest request came in, in milliseconds since 1970; None without sides."""
        return max((side.request_in for side in self.sides), default=None)

    def followed_by(self, other: RecordBatch) -> RecordBatch:
        """Return this batch joined with the next one of the file."""
        return RecordBatch(
            self.sides + other.sides, self.rejects + other.rejects, other.position, places=self.places + other.places
        )

    def reject(self, index: int, reason: str) -> Reject:
        """Return the side at this index as a reject."""
        number, length = self.places[2 * index : 2 * index + 2] if self.places else (0, 0)
        return Reject(number, 0, length, reason, "line" if length else "record")
