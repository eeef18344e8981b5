"""Reads and changes one table of the requests, in a transaction that is written as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rocksdict import Rdict, ReadOptions, WriteBatch

from services.core.checked_rows import DamagedDatabaseError

Rows = dict[bytes, bytes | None]
"""What keys hold, None for nothing."""


@contextmanager
def rocksdb() -> Iterator[None]:
    """Raise what RocksDB raises, which has no type of its own, as DamagedDatabaseError or OSError."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())  # some of its sentences have two lines
        if "Corruption" in reason or "No such file" in reason:
            raise DamagedDatabaseError(reason) from error
        raise OSError(reason) from error


class RequestTable:
    """A family of columns, with changes that are not written yet."""

    def __init__(self, database: Rdict, family: str) -> None:
        self._database, self._family = database, family
        self._rows = database.get_column_family(family)
        self.changes: Rows = {}
        self._stored: Rows = {}
        """What was read in this transaction, as it is stored."""

    def close(self) -> None:
        """Let go of the database."""
        self._rows.close()

    def get(self, keys: Iterable[bytes]) -> Rows:
        """Return what keys hold, changes included."""
        keys, stored, changes = list(keys), self._stored, self.changes
        if stored.keys().isdisjoint(keys) and changes.keys().isdisjoint(keys):  # as nearly always
            return self._read(keys)
        self._read([key for key in keys if key not in stored])
        return {key: changes[key] if key in changes else stored[key] for key in keys}

    def _read(self, keys: list[Any]) -> Rows:
        with rocksdb():
            rows = dict(zip(keys, self._rows.get(keys) or (), strict=True))
        self._stored |= rows
        return rows

    def stored(self) -> Rows:
        """Return what the keys that change hold so far, and other keys that were read."""
        self._read(list(self.changes.keys() - self._stored.keys()))
        return self._stored

    def range(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is stored under each key from ``first`` to before ``end``, without changes."""
        within = ReadOptions()
        within.set_iterate_upper_bound(end)
        last: Any = first
        for last, row in self._rows.items(from_key=first, read_opt=within):
            yield last, row
        # That iterator ends at a row that cannot be read as if it were the last.
        after = self._rows.iter(within)
        after.seek(last)
        if after.valid() and after.key() == last:
            after.next()
        with rocksdb():
            after.status()
        if after.valid():  # what failed can be read again
            raise OSError("a row could not be read at first")

    def put(self, batch: WriteBatch, rows: Mapping[bytes, bytes | None]) -> None:
        """Add rows to a batch."""
        family = self._database.get_column_family_handle(self._family)
        for key, row in rows.items():
            if row is None:
                batch.delete(key, family)
            else:
                batch.put(key, row, family)

    def clear(self) -> None:
        """Forget the changes."""
        self.changes.clear()
        self._stored.clear()
