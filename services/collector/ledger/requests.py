"""Stores the sides of every request id within the pairing span, in RocksDB (docs/exchange.md §3, ADR 126).

Ids are random, so each record would change another page of a sorted table. RocksDB appends, and sorts later.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np
from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from services.collector.ledger.request_table import RequestTable, Rows, rocksdb
from services.collector.ledger.sides import SIDE, StoredRequest, unpacked
from services.core.checked_rows import DamagedDatabaseError

SLICES: Final = 4096
"""The number of slices of the requests, by id, which are cleared of old requests one after another."""

MOST_REPEATS: Final = 64
"""Requests kept of one message, those with the lowest ids. Any others repeat them all the same."""

_HEAD: Final = struct.Struct("<qqB")  # newest, message, flags
_HAS_MESSAGE, _REPEATED = 1, 2  # flags
_MESSAGE: Final = struct.Struct(">q")
_ID: Final = 16  # bytes
_OLD: Final = struct.Struct("<16sqqB")  # the id and the head of a request to drop
_END: Final = b"\xff" * (_ID + 1)  # after every id
_AT_ONCE: Final = 10_000  # requests that are dropped

_FAMILIES: Final = ("request", "message")
_LAST: Final = b"last"
_CACHE: Final = 32 << 20  # bytes
_BUFFER: Final = 16 << 20  # bytes of a family that are not in a file yet
_LAST_BUFFER: Final = 1 << 20  # bytes of transactions: only the last one matters, but each stays until it is in a file
_BUFFERS: Final = 32 << 20  # bytes of all families that are not in a file yet
_FILTER: Final = 0.02  # of a buffer, for the filter of its keys
_OPEN_FILES: Final = 200  # of the thousand or so that ten days of a country have


class _Transaction(msgspec.Struct, array_like=True):
    """The number of a transaction, and what the keys that it changed or read held before it.

    Nothing is known of that once the transaction after it was taken back.
    """

    number: int = 0
    before: tuple[Rows, ...] = ()


_DECODER: Final = msgspec.msgpack.Decoder(_Transaction)


def folder_of(database: Path) -> Path:
    """Return the folder of the requests that belong to a database."""
    return database.with_suffix(".requests")


class Requests:
    """The requests in a folder (None: a temporary one). For one thread, and one process.

    What is read includes changes that are not written yet. ``write`` writes them as a transaction with a number,
    ``return_to`` takes them back, even after a restart, and ``complete`` ends the transaction.

    Raises DamagedDatabaseError, and OSError when the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._temporary = None if folder else _temporary_folder()
        with rocksdb():
            self._database = Rdict(
                str(folder) if self._temporary is None else self._temporary.name,
                _options(_LAST_BUFFER),
                column_families=dict.fromkeys(_FAMILIES, _options(_BUFFER)),
            )
        self._requests, self._messages = self._tables = [RequestTable(self._database, family) for family in _FAMILIES]
        self._old = bytearray()
        """The requests to drop, which may be millions."""
        try:
            self.number = self._last().number
            """The number of the last transaction that was written."""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the folder. Nothing is lost if that fails: what is not in a file yet is in a log."""
        for close in (*(table.close for table in self._tables), self._database.close):
            with suppress(Exception):
                close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _last(self) -> _Transaction:
        with rocksdb():
            last = self._database.get(_LAST)
        return _Transaction() if last is None else _DECODER.decode(last)

    @property
    def changed(self) -> bool:
        """Whether there are changes to write."""
        return bool(self._requests.changes)

    def read(self, requests: Iterable[bytes], oldest_ms: int) -> dict[bytes, StoredRequest]:
        """Return what is stored of each request id, without ids whose newest side is older than ``oldest_ms``."""
        rows = self._requests.get(requests).items()
        found = ((request, _unpacked(row)) for request, row in rows if row is not None)
        return {request: stored for request, stored in found if stored.newest >= oldest_ms}

    def first(self, messages: Iterable[int]) -> dict[int, bytes]:
        """Return the request with the lowest id of each message that has any."""
        rows = self._messages.get(map(_MESSAGE.pack, messages)).items()
        return {_MESSAGE.unpack(key)[0]: row[:_ID] for key, row in rows if row is not None}

    def change(self, requests: Mapping[bytes, StoredRequest], former: Mapping[bytes, StoredRequest]) -> None:
        """Change these requests. ``former`` is what is stored of them so far."""
        moved: list[tuple[bytes, int | None, int | None]] = []
        for request, now in requests.items():
            before = former[request].message if request in former else None
            if now.message != before:
                moved.append((request, before, now.message))
            self._requests.changes[request] = _packed(now)
        self._messages.changes.update(self._moved(moved))

    def _moved(self, moved: Sequence[tuple[bytes, int | None, int | None]]) -> Rows:
        """Return the rows of messages once each of these requests has moved from a message, if any, to another, if any."""
        rows = self._messages.get({_MESSAGE.pack(one) for _, *both in moved for one in both if one is not None})
        for request, before, now in moved:
            if before is not None:
                key = _MESSAGE.pack(before)
                rows[key] = b"".join(sorted(_ids(rows[key]) - {request})) or None
            if now is not None:
                key = _MESSAGE.pack(now)
                rows[key] = b"".join(sorted(_ids(rows[key]) | {request})[:MOST_REPEATS]) if rows[key] else request
        return rows

    def far_apart(self, oldest_ms: int, span_ms: int) -> Iterator[tuple[bytes, StoredRequest]]:
        """Yield each request id with sides further apart than a span, unless its newest side is older than ``oldest_ms``.

        Everything is read, without changes.
        """
        for request, row in self._requests.range(b"", _END):
            stored = _unpacked(row)
            if stored.newest < oldest_ms or len(stored.sides) == SIDE.itemsize:
                continue
            if stored.newest - min(side.request_in for side in unpacked(stored.sides)) > span_ms:
                yield request, stored

    def drop_old(self, number: int, oldest_ms: int) -> tuple[int, set[int]]:
        """Drop, once the transaction ends, requests of one of SLICES whose newest side is older than ``oldest_ms``.

        All sides of an id go together, so that no half of an exchange stays behind. Returns how many requests the slice
        had, and the numbers of the pairs that the sides of the others refer to.
        """
        read, kept = 0, list[bytes]()
        for request, row in self._requests.range(*_ids_of(number)):
            read += 1
            if _HEAD.unpack_from(row)[0] >= oldest_ms or request in self._requests.changes:
                kept.append(row[_HEAD.size :])
            else:
                self._old += request + row[: _HEAD.size]
        return read, set(np.unique(np.frombuffer(b"".join(kept), SIDE)["pair"]).tolist())

    def write(self, number: int) -> None:
        """Write the changes as a transaction with this number, which is one more than that of the last one."""
        last = _Transaction(number, tuple(table.stored() for table in self._tables))
        self._write([table.changes for table in self._tables], last)
        self.number = number
        self._sync()

    def _write(self, rows: Sequence[Rows], last: _Transaction | None = None) -> None:
        batch = WriteBatch(raw_mode=True)
        for table, changes in zip(self._tables, rows, strict=True):
            table.put(batch, changes)
        if last is not None:
            batch.put(_LAST, msgspec.msgpack.encode(last))
        with rocksdb():
            self._database.write(batch, WriteOptions())

    def _sync(self) -> None:
        """Wait until the disk has what was written. A write that syncs would stop all threads meanwhile."""
        if self._temporary is None:
            with rocksdb():
                self._database.flush_wal(True)

    def return_to(self, number: int) -> None:
        """Take back changes, and the transaction after the one with this number if it was written."""
        self._forget_changes()
        if self.number == number + 1 and (before := self._last().before):
            self._write(before, _Transaction(number))
            self.number = number
            self._sync()
        if self.number != number:
            raise DamagedDatabaseError("its requests belong to another state")

    def _forget_changes(self) -> None:
        self._old = bytearray()
        for table in self._tables:
            table.clear()

    def complete(self) -> None:
        """End the transaction. Requests are dropped that it found to be old."""
        old = memoryview(self._old)
        self._forget_changes()
        for start in range(0, len(old), _AT_ONCE * _OLD.size):
            some = list(_OLD.iter_unpack(old[start : start + _AT_ONCE * _OLD.size]))
            messages = self._moved(
                [(request, message if flags & _HAS_MESSAGE else None, None) for request, _, message, flags in some]
            )
            self._messages.clear()
            self._write([dict.fromkeys(request for request, *_ in some), messages])


def _temporary_folder() -> TemporaryDirectory[str]:
    """Return a folder on a disk, where SQLite has temporary files too. /tmp may be in memory. TMPDIR names another one."""
    on_disk = "/var/tmp"  # noqa: S108  # the folder within has a name that nobody can guess
    usable = os.access(on_disk, os.W_OK | os.X_OK) and not os.environ.get("TMPDIR")
    return TemporaryDirectory(prefix="peyvand-", dir=on_disk if usable else None)


def _options(buffer: int) -> Options:
    """Return options that bound memory, also that of filters, which are read as they are needed.

    ``buffer`` is how many bytes of a family may not be in a file yet.
    """
    blocks = BlockBasedOptions()
    blocks.set_block_cache(Cache(_CACHE))
    blocks.set_bloom_filter(10, block_based=False)
    blocks.set_index_type(BlockBasedIndexType.two_level_index_search())
    blocks.set_partition_filters(True)
    blocks.set_cache_index_and_filter_blocks(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_block_based_table_factory(blocks)
    options.set_compression_type(DBCompressionType.none())  # ids and digests are random
    options.set_write_buffer_size(buffer)
    options.set_db_write_buffer_size(_BUFFERS)
    options.set_memtable_whole_key_filtering(True)  # half of the requests, and nearly all messages, are new
    options.set_memtable_prefix_bloom_ratio(_FILTER)
    options.set_max_open_files(_OPEN_FILES)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def _packed(stored: StoredRequest) -> bytes:
    flags = (_HAS_MESSAGE if stored.message is not None else 0) | (_REPEATED if stored.repeated else 0)
    return _HEAD.pack(stored.newest, stored.message or 0, flags) + stored.sides


def _unpacked(row: bytes) -> StoredRequest:
    newest, message, flags = _HEAD.unpack_from(row)
    return StoredRequest(row[_HEAD.size :], newest, message if flags & _HAS_MESSAGE else None, bool(flags & _REPEATED))


def _ids(row: bytes | None) -> set[bytes]:
    """Return the ids of a message's requests."""
    return {row[start : start + _ID] for start in range(0, len(row), _ID)} if row else set()


def _ids_of(number: int) -> tuple[bytes, bytes]:
    """Return the first id of a slice and the first one after it."""
    first, end = (struct.pack(">I", part << 20) if part < SLICES else _END for part in (number, number + 1))
    return first, end
