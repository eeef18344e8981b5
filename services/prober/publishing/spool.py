"""Spools batches on disk until the bus has acknowledged them, so that they survive a crash (docs/design.md §6).

Up to a limit, their messages are also kept in memory. Acknowledged batches are kept for some hours more, and published
again when the bus has lost them (ADR 99). A batch is one file: magic, MessagePack, checksum. It is written and synced as
a whole before any of it is published. A file that a crash cut short has another name and is removed; a file that is
damaged nevertheless is set aside. A file is read again only if an earlier run left it, or if too much was pending.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EMFILE, ENFILE
from functools import partial
from hashlib import blake2b
from pathlib import Path
from time import time
from typing import BinaryIO, Final, TypeGuard

import msgspec

from services.core import files
from services.core.errors import StateError
from services.core.tasks import run_in_thread
from services.prober.publishing.kept import KeptFile, KeptFiles

_MAGIC: Final = b"peyvand spool 1\n"
_SUFFIX: Final = ".batch"
_DIGITS: Final = 20  # of the number in a file name
# Pending batches are kept in memory up to this size in all. Later ones are read from disk when their turn comes.
_MEMORY_BYTES: Final = 4 << 20
# The number of acknowledged batches in one file: a minute of them, so that a day is some thousand files.
_KEPT_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True)
class SpooledMessage:
    """One message to publish. Its id is derived from its content, so that it is the same however often it is sent."""

    subject: str
    message_id: str
    payload: bytes

    @classmethod
    def of(cls, subject: str, payload: bytes) -> SpooledMessage:
        """Return the message of a payload."""
        digest = blake2b(payload, digest_size=16, person=b"peyvand message")
        digest.update(subject.encode())
        return cls(subject, digest.hexdigest(), payload)


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """A batch that one flush spooled, with its ``size`` in bytes and its number of measurements, ``rows``.

    ``path`` is None when the disk refused it, for the reason ``refusal``. ``messages`` are None when they are only on
    disk. ``again`` means that the bus may have the batch already.
    """

    path: Path | None
    size: int
    rows: int
    messages: tuple[SpooledMessage, ...] | None = None
    refusal: str = ""
    again: bool = False


def _encode(messages: Sequence[SpooledMessage], rows: int) -> bytes:
    return files.sealed(_MAGIC + msgspec.msgpack.encode((rows, messages)))


def _decode(data: bytes) -> tuple[int, tuple[SpooledMessage, ...]]:
    """Return the number of measurements in a file, and its messages. Raises ValueError when the file is not whole."""
    content = files.unsealed(data)
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        raise ValueError("not a spool file of this format")
    return msgspec.msgpack.decode(content[len(_MAGIC) :], type=tuple[int, tuple[SpooledMessage, ...]])


def _read(path: Path) -> tuple[int, tuple[SpooledMessage, ...]] | None:
    """Return what is in a file, None if it cannot be read. Raises OSError when no file can be opened at the moment."""
    try:
        return _decode(path.read_bytes())
    except (OSError, ValueError) as error:
        if _lacks_descriptors(error):
            raise
        return None


def _lacks_descriptors(error: Exception) -> TypeGuard[OSError]:
    """Return whether a file was not opened because too many are open, which says nothing about the file."""
    return isinstance(error, OSError) and error.errno in (EMFILE, ENFILE)


class Spool:
    """The batches of one prober, oldest first. Beyond ``limit`` bytes, the oldest are dropped and counted.

    Acknowledged batches are kept (``keeps``) for ``keep`` seconds, 0 for not at all, up to another ``limit`` bytes.
    ``newly_damaged`` are the files that were set aside since the publisher last looked. ``damaged`` is the number of
    such files in the folder; their contents are not sent. ``next`` is the number of the next batch.
    """

    def __init__(self, folder: Path, limit: int, *, keep: float = 0.0, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._folder = folder
        self._limit = limit
        self._memory_bytes = memory_bytes
        self._lock: BinaryIO | None = None
        self.next = 0
        self._in_memory = 0
        self.keeps = keep > 0
        self._acknowledged: list[tuple[Path, int, int]] = []  # with rows and sequence
        self.kept = KeptFiles(folder, limit, keep)
        self.pending: deque[SpoolBatch] = deque()
        self.size = 0
        self.dropped = self.dropped_rows = self.damaged = 0
        self.newly_damaged: list[Path] = []
        self._left_over: list[Path] = []

    def open(self) -> None:
        """Lock the folder and take over the files that an earlier run left. Raises StateError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = files.lock(self._folder / "lock")
            files.clear_parts(self._folder)
            self.damaged = files.count_damaged(self._folder)
            self.next = self.kept.open()
            self.kept.prune(time() if self.keeps else float("inf"))
            for path in sorted(self._folder.glob(f"{'[0-9]' * _DIGITS}{_SUFFIX}")):
                self.next = max(self.next, int(path.stem) + 1)
                if (found := _read(path)) is None:
                    self._set_aside(path)
                else:
                    self._append(SpoolBatch(path, path.stat().st_size, found[0], again=True))
        except BlockingIOError as error:
            raise StateError(f"another prober uses the spool {self._folder}: give each its own --data") from error
        except OSError as error:
            raise StateError(f"the spool {self._folder} cannot be used: {os.strerror(error.errno or 0)}") from error
        self._trim()

    def close(self) -> None:
        """Unlock the folder. Pending batches stay in it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def add(self, messages: Sequence[SpooledMessage], rows: int) -> SpoolBatch:
        """Put a batch of ``rows`` measurements on disk and return it once it is synced.

        A disk that is full or gone does not stop measuring: the batch is then held in memory, under the same limit.
        """
        path = self._new_path()
        data = _encode(messages, rows)
        try:
            await asyncio.to_thread(self._write, path, data)
        except OSError as error:
            batch = SpoolBatch(None, len(data), rows, tuple(messages), str(error.strerror or error))
        else:
            left_over, self._left_over = self._left_over, []
            self._unlink(left_over)
            fits = self._in_memory + len(data) <= self._memory_bytes
            batch = SpoolBatch(path, len(data), rows, tuple(messages) if fits else None)
        self._append(batch)
        self._trim()
        return batch

    async def read(self, batch: SpoolBatch) -> tuple[SpooledMessage, ...]:
        """Return the messages of a batch. If its file can no longer be read, set it aside and return none.

        Raises OSError when this process cannot open any file at the moment.
        """
        if batch.messages is not None:
            return batch.messages
        assert batch.path is not None
        found = await asyncio.to_thread(_read, batch.path)
        if found is None and batch in self.pending:
            self._set_aside(batch.path)
            self._remove(batch)
        return found[1] if found else ()

    async def acknowledged(self, batch: SpoolBatch, sequence: int) -> None:
        """Keep a batch that the bus has, up to ``sequence`` of its stream, or forget it."""
        if batch not in self.pending:
            return
        if not self.keeps or batch.path is None:
            self._remove(batch)
            return
        self._forget(batch)
        self._acknowledged.append((batch.path, batch.rows, sequence))
        # Batches of an earlier run are kept at once. Otherwise a series of crashes would send them again each time.
        is_last_again = batch.again and not any(other.again for other in self.pending)
        if is_last_again or len(self._acknowledged) >= _KEPT_TOGETHER:
            await self.keep()

    async def keep(self) -> None:
        """Write the acknowledged batches into one file, in place of a file each.

        While this process cannot open any file, they stay for the next call.
        """
        done, self._acknowledged = self._acknowledged, []
        if not done:
            return
        try:
            await run_in_thread(partial(self._keep, done))
        except OSError:
            self._acknowledged = [*done, *self._acknowledged]

    def _keep(self, done: Sequence[tuple[Path, int, int]]) -> None:
        """Write acknowledged batches into a file. Raises OSError when this process cannot open any file right now."""
        paths, rows, sequences = zip(*done, strict=True)
        messages = [message for path in paths if (found := _read(path)) for message in found[1]]
        number, sequence = int(paths[0].stem), max(sequences)
        path = self.kept.path(number, sequence)
        data = _encode(messages, sum(rows))
        try:
            self._write(path, data)
        except OSError as error:
            if _lacks_descriptors(error):
                raise
            # A full disk keeps the batches that are still to be sent, not those that the bus has.
        else:
            self.kept.add(KeptFile(path, number, len(data), time(), sequence))
        self._unlink(paths)
        self.kept.prune(time())

    async def again(self, sequence: int, before: int) -> bool:
        """Make the oldest kept file pending again that is numbered below ``before`` and got ``sequence`` or a later one.

        Returns whether there was such a file. Raises OSError when this process cannot open any file at the moment.
        """
        await self.keep()
        if (file := self.kept.since(sequence, before)) is None:
            return False
        path = self._new_path()
        try:
            rows, _ = _decode(await asyncio.to_thread(file.path.read_bytes))
            file.path.rename(path)
        except (OSError, ValueError) as error:
            if _lacks_descriptors(error):
                self.kept.put_back(file)
                raise
            self._set_aside(file.path)
        else:
            self._append(SpoolBatch(path, file.size, rows, again=True))
        return True

    def _new_path(self) -> Path:
        path = self._folder / f"{self.next:0{_DIGITS}d}{_SUFFIX}"
        self.next += 1
        return path

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file and make it durable. If the disk refuses, none is left. Raises OSError."""
        files.replace(path, data)
        try:
            files.sync(self._folder)
        except OSError:
            self._unlink([path])
            raise

    def _set_aside(self, path: Path) -> None:
        with suppress(OSError):  # the file is gone, or the disk is
            files.set_aside(path)
        self.damaged += 1
        self.newly_damaged.append(path)

    def _append(self, batch: SpoolBatch) -> None:
        self.pending.append(batch)
        self.size += batch.size
        self._in_memory += 0 if batch.messages is None else batch.size

    def _trim(self) -> None:
        while self.size > self._limit and self.pending:
            self._drop(self.pending[0])

    def _drop(self, batch: SpoolBatch) -> None:
        self.dropped += 1
        self.dropped_rows += batch.rows
        self._remove(batch)

    def _forget(self, batch: SpoolBatch) -> None:
        self.pending.remove(batch)
        self.size -= batch.size
        self._in_memory -= 0 if batch.messages is None else batch.size

    def _remove(self, batch: SpoolBatch) -> None:
        self._forget(batch)
        if batch.path is not None:
            self._unlink([batch.path])

    def _unlink(self, paths: Iterable[Path]) -> None:
        """Remove files that are no longer needed. If the disk refuses, the next batch tries again."""
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                self._left_over.append(path)
