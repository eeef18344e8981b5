"""Exchange logs as files: NDJSON, a JSON array, the raw multipart answer, each plain or gzipped (EXCHANGE.md).

What cannot be read is reported by position, length and reason, never by content, and the rest goes on. NDJSON is read
in blocks, so that memory does not depend on its size.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import orjson

from services.collector.answer import AnswerError, read_answer, read_records
from services.collector.record import RecordError, Side, read_side
from services.core.errors import Fault

__all__ = ["START", "Batch", "Position", "Reject", "UnreadableError", "read", "unzipped"]

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 20
_LARGEST_DOCUMENT = 256 << 20
_Content = IO[bytes] | gzip.GzipFile
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_ONE_DOCUMENT = re.compile(rb'\s*(\[|\{\s*"records"\s*:\s*\[|--|<)')


class UnreadableError(ValueError):
    """The file as a whole cannot be read; the message says why, without content."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read: ``offset`` bytes (after decompression) and ``line`` lines, or records of a document."""

    offset: int = 0
    line: int = 0


START = Position()


@dataclass(frozen=True, slots=True, order=True)
class Reject:
    """A line, or a record of a document, that cannot be read: its number from 1, its length in bytes, and why."""

    number: int
    column: int
    length: int
    reason: str
    unit: str = "line"

    def fault(self, file: str) -> Fault:
        """Say the same as a fault of ``file``."""
        if self.unit == "line":
            return Fault(file, self.number, self.column, f"{self.reason} (line of {self.length} bytes)")
        return Fault(file, 0, 0, f"record {self.number}: {self.reason} ({self.length} bytes)")


@dataclass(frozen=True, slots=True)
class Batch:
    """Sides in file order with what was rejected among them, and the position after them."""

    sides: tuple[Side, ...]
    rejects: tuple[Reject, ...]
    position: Position

    def followed_by(self, other: Batch) -> Batch:
        """Join with the batch that comes next in the file."""
        return Batch(self.sides + other.sides, self.rejects + other.rejects, other.position)


def unzipped(stream: IO[bytes]) -> _Content:
    """Give the seekable stream itself, or its decompressed content when it starts like gzip."""
    magic = stream.read(2)
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream, mode="rb") if magic == _GZIP else stream


def read(stream: IO[bytes], start: Position = START, *, size: int = 1000) -> Iterator[Batch]:
    """Batches of up to ``size`` lines from ``start`` on. Raises UnreadableError where the file as a whole fails."""
    try:
        content = unzipped(stream)
        head = content.read(4096).removeprefix(_BOM)
        if _ONE_DOCUMENT.match(head):
            content.seek(0)
            yield from _document(content, start, size)
        else:
            content.seek(start.offset)
            yield from _lines(content, start, size)
    except EOFError:
        raise UnreadableError("its gzip data end early") from None
    except (gzip.BadGzipFile, zlib.error):
        raise UnreadableError("its gzip data are damaged") from None
    except AnswerError as error:
        raise UnreadableError(str(error)) from error


def _document(stream: _Content, start: Position, size: int) -> Iterator[Batch]:
    body = stream.read(_LARGEST_DOCUMENT + 1).removeprefix(_BOM)
    if len(body) > _LARGEST_DOCUMENT:
        raise UnreadableError("it is one document of more than 256 MiB: split it, or turn it into one record a line")
    records = read_answer(body).records if body.lstrip()[:1] in b"-<" else read_records(body)
    rest = iter(enumerate(records[start.line :], start.line + 1))
    while chunk := list(islice(rest, size)):
        yield _batch(((number, value, 0) for number, value in chunk), Position(0, chunk[-1][0]))


def _batch(numbered: Iterator[tuple[int, Any, int]], position: Position) -> Batch:
    """Read records, numbered and with the length of their line (0: as they would be written)."""
    sides: list[Side] = []
    rejects: list[Reject] = []
    for number, value, length in numbered:
        if isinstance(value, Reject):
            rejects.append(value)
            continue
        try:
            sides.append(read_side(value))
        except RecordError as error:
            size = length or len(orjson.dumps(value))
            unit = "line" if length else "record"
            rejects.extend(Reject(number, 0, size, reason, unit) for reason in error.reasons)
    return Batch(tuple(sides), tuple(rejects), position)


def _lines(stream: _Content, start: Position, size: int) -> Iterator[Batch]:
    position = start
    lines = _split(stream)
    while chunk := list(islice(lines, size)):
        first, last = position.line, position.line + len(chunk)
        position = Position(position.offset + sum(length for _, length in chunk), last)
        yield _batch(_decode(chunk, first), position)


def _decode(chunk: list[tuple[bytes | None, int]], first: int) -> Iterator[tuple[int, Any, int]]:
    for number, (line, length) in enumerate(chunk, first + 1):
        if line is None:
            yield number, Reject(number, 0, length, f"a line may not exceed {_LONGEST_LINE} bytes"), 0
            continue
        text = (line.removeprefix(_BOM) if number == 1 else line).strip()
        if not text:
            continue
        try:
            yield number, orjson.loads(text), len(text)
        except orjson.JSONDecodeError as error:
            yield number, Reject(number, error.colno, len(text), "it is not JSON"), 0


def _split(stream: _Content) -> Iterator[tuple[bytes | None, int]]:
    """Lines with their lengths, line end included; None in place of a line that is too long, which is skipped."""
    while line := stream.readline(_LONGEST_LINE + 1):
        length = len(line)
        if length <= _LONGEST_LINE or line.endswith(b"\n"):
            yield line, length
            continue
        while not line.endswith(b"\n") and (line := stream.readline(_BLOCK)):
            length += len(line)
        yield None, length
