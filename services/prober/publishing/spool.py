"""Batches the bus has not acknowledged, on disk: they survive kill -9 and outages of the bus (docs/design.md §6).

A batch is one file, written and fsynced as a whole before any of it is published: magic, counts, records, checksum. A
file that a crash cut short fails its checksum and is dropped; nothing in it had been published.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

from services.core.errors import StateError

__all__ = ["Spool", "SpoolBatch", "SpooledMessage"]

_MAGIC: Final = b"peyvand spool 1\n"
_HEAD: Final = struct.Struct("<II")
_RECORD: Final = struct.Struct("<HHI")
_DIGEST: Final = 16
_SUFFIX: Final = ".batch"


@dataclass(frozen=True, slots=True)
class SpooledMessage:
    """One message to publish. The id is made of its content, so that it is the same however often it is sent."""

    subject: str
    message_id: str
    payload: bytes

    @classmethod
    def of(cls, subject: str, payload: bytes) -> SpooledMessage:
        """Make the record of a payload."""
        digest = blake2b(payload, digest_size=16, person=b"peyvand message")
        digest.update(subject.encode())
        return cls(subject, digest.hexdigest(), payload)


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """What was spooled by one flush. ``path`` is None when the disk refused it: then only ``kept`` holds it."""

    path: Path | None
    size: int
    rows: int
    kept: tuple[SpooledMessage, ...] = ()


def _encode(records: Sequence[SpooledMessage], rows: int) -> bytes:
    parts = [_MAGIC, _HEAD.pack(len(records), rows)]
    for record in records:
        subject, message_id = record.subject.encode(), record.message_id.encode()
        parts += [_RECORD.pack(len(subject), len(message_id), len(record.payload)), subject, message_id, record.payload]
    content = b"".join(parts)
    return content + blake2b(content, digest_size=_DIGEST).digest()


def _decode(data: bytes) -> tuple[tuple[SpooledMessage, ...], int]:
    """Read a file back: records and rows. ValueError when it is not whole."""
    content, digest = data[:-_DIGEST], data[-_DIGEST:]
    if not content.startswith(_MAGIC) or blake2b(content, digest_size=_DIGEST).digest() != digest:
        raise ValueError("not a whole spool file")
    at = len(_MAGIC)
    count, rows = _HEAD.unpack_from(content, at)
    at += _HEAD.size
    records = []
    for _ in range(count):
        lengths = _RECORD.unpack_from(content, at)
        at += _RECORD.size
        fields = []
        for length in lengths:
            fields.append(content[at : at + length])
            at += length
        records.append(SpooledMessage(fields[0].decode(), fields[1].decode(), fields[2]))
    return tuple(records), rows


class Spool:
    """The batches of one prober, oldest first. ``limit`` in bytes; beyond it the oldest are dropped and counted."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock: BinaryIO | None = None
        self._next = 0
        self.pending: deque[SpoolBatch] = deque()
        self.size = 0
        self.dropped = 0
        self.dropped_rows = 0
        self.broken = 0

    def open(self) -> None:
        """Take possession of the folder and of what an earlier run left. Raises StateError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / "lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise StateError(f"another prober uses the spool {self._folder}: give each its own --data") from error
        except OSError as error:
            raise StateError(f"the spool {self._folder} cannot be used: {os.strerror(error.errno or 0)}") from error
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                _, rows = _decode(path.read_bytes())
                self._next = int(path.stem) + 1
            except (OSError, ValueError, struct.error):
                self.broken += 1
                path.unlink(missing_ok=True)
                continue
            self._append(SpoolBatch(path, path.stat().st_size, rows))
        self._trim()

    def close(self) -> None:
        """Let go of the folder; what is pending stays in it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def add(self, records: Sequence[SpooledMessage], rows: int) -> SpoolBatch:
        """Put a batch of ``rows`` measurements on disk and return it once it is there for good.

        A disk that is full or gone does not stop measuring: the batch is then held in memory, under the same limit.
        """
        path = self._folder / f"{self._next:020d}{_SUFFIX}"
        self._next += 1
        data = _encode(records, rows)
        try:
            await asyncio.to_thread(self._write, path, data)
        except OSError:
            batch = SpoolBatch(None, len(data), rows, tuple(records))
        else:
            batch = SpoolBatch(path, len(data), rows)
        self._append(batch)
        self._trim()
        return batch

    async def read(self, batch: SpoolBatch) -> tuple[SpooledMessage, ...]:
        """Return the records of a batch; none when it can no longer be read, which counts as dropped."""
        if batch.path is None:
            return batch.kept
        try:
            data = await asyncio.to_thread(batch.path.read_bytes)
            return _decode(data)[0]
        except (OSError, ValueError, struct.error):
            if batch in self.pending:
                self._drop(batch)
            return ()

    def acknowledged(self, batch: SpoolBatch) -> None:
        """Forget a batch: the bus has it."""
        if batch in self.pending:
            self._remove(batch)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        # A new file is there for good only when its folder is.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _append(self, batch: SpoolBatch) -> None:
        self.pending.append(batch)
        self.size += batch.size

    def _trim(self) -> None:
        while self.size > self._limit and self.pending:
            self._drop(self.pending[0])

    def _drop(self, batch: SpoolBatch) -> None:
        self.dropped += 1
        self.dropped_rows += batch.rows
        self._remove(batch)

    def _remove(self, batch: SpoolBatch) -> None:
        self.pending.remove(batch)
        self.size -= batch.size
        if batch.path is not None:
            batch.path.unlink(missing_ok=True)
