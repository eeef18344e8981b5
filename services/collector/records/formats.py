"""Reads exchange logs as NDJSON, CSV, a JSON array or a raw multipart answer, plain or gzipped (docs/exchange.md §2).

A record that cannot be read is reported by position, length and reason, never by content, and reading continues. Lines
are read one after another, so that memory does not depend on the size of a file.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import IO, Any

import orjson

from services.collector.records.answers import ServerAnswerError, read_answer, read_records
from services.collector.records.batch import START, RecordBatch, Reject, SourcePosition
from services.collector.records.bulk import RawRecord, decode_line
from services.collector.records.csv_rows import RowError, delimiter_of, is_header, read_header, read_row
from services.collector.records.generic import is_generic, read_generic
from services.collector.records.gzip_content import GZIP, GzipContent, UnreadableError
from services.collector.records.xroad import RecordError, Side, read_side

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 20
_LARGEST_DOCUMENT = 256 << 20
_Content = IO[bytes] | GzipContent
_Parse = Callable[[bytes], Any]
_MOST_REASONS = 5  # of a record
_RECORD = "record"  # of a document, as a unit of rejects
_BOM = b"\xef\xbb\xbf"
_ONE_DOCUMENT = re.compile(rb'\s*(\[|\{\s*"records"\s*:\s*\[|--|<)')


def _decompressed(stream: IO[bytes]) -> _Content:
    """Return the seekable stream itself, or its decompressed content if it is gzip."""
    magic = stream.read(2)
    stream.seek(0)
    return GzipContent(stream) if magic == GZIP else stream


def first_bytes(stream: IO[bytes], *, settled: bool) -> bytes | None:
    """Return the bytes that distinguish a file from another one of the same name.

    They are the first line, or two lines if the first is a header; of a document or gzip, the first bytes. The result
    is None until these are written, as they are in a ``settled`` file.
    """
    head = stream.read(_BLOCK)
    if head.startswith(GZIP) or _ONE_DOCUMENT.match(head.removeprefix(_BOM)):
        return head if settled else None
    lines = head.split(b"\n", 2 if is_header(head.removeprefix(_BOM)) else 1)
    if len(lines) == 1 and not settled and len(head) < _BLOCK:
        return None
    return b"\n".join(lines[:-1]) if len(lines) > 1 else head


def read(
    stream: IO[bytes],
    start: SourcePosition = START,
    *,
    size: int = 1000,
    settled: bool = True,
    grows: bool = False,
    columns: Sequence[str] = (),
) -> Iterator[RecordBatch]:
    """Yield batches of up to ``size`` lines from ``start`` on. Raises UnreadableError when the file as a whole fails.

    A file that is not ``settled`` is still being written: complete lines are read, and everything else is left for
    later. In a settled file that still ``grows``, a last line without an end that is not a record is left as well, and
    returned as ``waiting``: its writer may not have written all of it. With ``columns`` the lines are rows of a table
    without a header.
    """
    try:
        content = _decompressed(stream)
        if not settled and content is not stream:
            return
        head = content.read(4096).removeprefix(_BOM)
        content.seek(0)
        if columns or not _ONE_DOCUMENT.match(head):
            row = _table(content, columns) if columns or is_header(head) else None
            first = 2 if row and not columns else 1
            yield from _lines(content, start, size, row, first, settled=settled, grows=grows)
        elif settled:
            yield from _document(content, start, size)
    except EOFError:
        raise UnreadableError("its gzip data end early") from None
    except (gzip.BadGzipFile, zlib.error):
        raise UnreadableError("its gzip data are damaged") from None
    except (ServerAnswerError, RowError) as error:
        raise UnreadableError(str(error)) from error


def _document(stream: _Content, start: SourcePosition, size: int) -> Iterator[RecordBatch]:
    body = stream.read(_LARGEST_DOCUMENT + 1).removeprefix(_BOM)
    if len(body) > _LARGEST_DOCUMENT:
        raise UnreadableError("it is one document of more than 256 MiB: split it, or turn it into one record a line")
    records = read_answer(body).records if body.lstrip()[:1] in b"-<" else read_records(body)
    yield from _chunks(records, start.line, size)


def _chunks(records: list[Any], first: int, size: int) -> Iterator[RecordBatch]:
    rest = iter(enumerate(records[first:], first + 1))
    while chunk := list(islice(rest, size)):
        yield _read_batch(map(_decode_record, chunk), SourcePosition(0, chunk[-1][0]), _RECORD)


def read_all(records: list[Any], position: SourcePosition) -> RecordBatch:
    """Return every record of an answer as one batch, after which its source is at ``position``."""
    return _read_batch(map(_decode_record, enumerate(records, 1)), position, _RECORD)


def _decode_record(numbered: tuple[int, Any]) -> tuple[int, Any, int]:
    """Decode a record of a document unless that is done; return it with its number and the length of its text."""
    (number, value), length = numbered, 0
    if isinstance(value, RawRecord):
        text = bytes(value)
        length = len(text)
        if length > _LONGEST_LINE:
            return number, Reject(number, 0, length, f"a record may not exceed {_LONGEST_LINE} bytes", _RECORD), length
        try:
            value = decode_line(text) or orjson.loads(text)
        except orjson.JSONDecodeError:
            value = Reject(number, 0, length, "it is not JSON", _RECORD)
    return number, value, length


def _read_batch(
    numbered: Iterable[tuple[int, Any, int]], position: SourcePosition = START, unit: str = "line"
) -> RecordBatch:
    """Read values, each with its number and the length of its text."""
    sides: list[Side] = []
    rejects: list[Reject] = []
    places: list[int] = []
    for number, value, length in numbered:
        if isinstance(value, Side):
            sides.append(value)
            places += number, length if unit == "line" else 0
            continue
        if isinstance(value, Reject):
            rejects.append(value)
            continue
        try:
            sides.append(read_generic(value) if isinstance(value, dict) and is_generic(value) else read_side(value))
            places += number, length if unit == "line" else 0
        except RecordError as error:
            rejects.append(Reject(number, 0, length, _few(error.reasons), unit))
    return RecordBatch(tuple(sides), tuple(rejects), position, places=tuple(places))


def _few(reasons: Sequence[str]) -> str:
    """Return the first few reasons as one text, since a file may have many wrong fields in every record."""
    more = len(reasons) - _MOST_REASONS
    return "; ".join((*reasons[:_MOST_REASONS], *([f"and {more} more"] if more > 0 else ())))


def _table(stream: _Content, columns: Sequence[str]) -> _Parse:
    """Read the first line of a table, and return a function that reads its rows.

    Without ``columns`` the line is a header.
    """
    line = stream.readline(_LONGEST_LINE).removeprefix(_BOM)
    delimiter, names = (delimiter_of(line, len(columns)), tuple(columns)) if columns else read_header(line)
    return partial(read_row, delimiter=delimiter, names=names)


def _lines(
    stream: _Content, start: SourcePosition, size: int, row: _Parse | None, first: int, *, settled: bool, grows: bool
) -> Iterator[RecordBatch]:
    """Yield batches of JSON lines, or of rows of a table. The first record is in line ``first``."""
    stream.seek(start.offset)
    offset, number = start.offset, start.line
    lines = _split(stream, settled=settled)
    last: tuple[bytes | None, int] | None = None

    def some() -> Iterator[tuple[int, bytes | None, int]]:
        """Yield the next lines one by one, so that only one of them is in memory."""
        nonlocal offset, number, last
        for line, length, ended in islice(lines, size):
            if grows and not ended:
                last = line, length
                return
            offset, number = offset + length, number + 1
            yield number, line, length

    while True:
        before = number
        batch = _read_batch(_decode(some(), row, first))
        if number == before:
            break
        yield replace(batch, position=SourcePosition(offset, number))
    if last is not None:
        line, length = last
        batch = _read_batch(
            _decode([(number + 1, line, length)], row, first), SourcePosition(offset + length, number + 1)
        )
        if batch.sides:
            yield batch
        elif batch.rejects:
            yield RecordBatch((), (), SourcePosition(offset, number), waiting=batch.rejects[0])


def _decode(
    lines: Iterable[tuple[int, bytes | None, int]], row: _Parse | None, first: int
) -> Iterator[tuple[int, Any, int]]:
    for number, line, length in lines:
        if line is None:
            yield number, Reject(number, 0, length, f"a line may not exceed {_LONGEST_LINE} bytes"), 0
            continue
        text = (line.removeprefix(_BOM) if number == 1 else line).strip(b" \r\n" if row else None)
        if not text or number < first:
            continue
        try:
            yield number, row(text) if row else decode_line(text) or orjson.loads(text), len(text)
        except orjson.JSONDecodeError as error:
            yield number, Reject(number, error.colno, len(text), "it is not JSON"), 0
        except RowError as error:
            yield number, Reject(number, 0, len(text), str(error)), 0


def _split(stream: _Content, *, settled: bool) -> Iterator[tuple[bytes | None, int, bool]]:
    """Yield each line with its length, line end included, and whether it has an end.

    A line that is too long is None.
    """
    while line := stream.readline(_LONGEST_LINE + 1):
        end, length = line, len(line)
        while length > _LONGEST_LINE and not end.endswith(b"\n") and (end := stream.readline(_BLOCK)):
            length += len(end)
        ended = end.endswith(b"\n")
        if not (settled or ended):
            return
        yield (line if length <= _LONGEST_LINE or line.endswith(b"\n") else None), length, ended
