"""Reads and writes the collector's state, and reports a disk that fails in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from services.core.errors import StateError


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Raise StateError when the state at ``path`` cannot be read."""
    try:
        yield
    except sqlite3.Error as error:
        raise StateError(f"the collector's state {path} cannot be read: {error}") from error


@contextmanager
def transaction(database: sqlite3.Connection, path: str, undo: Callable[[], None]) -> Iterator[None]:
    """Write to the state at ``path`` as a whole. If anything fails, roll back and ``undo`` what is in memory.

    Raises StateError when the state cannot be written. That a rollback fails as well says nothing new: the next startup
    rolls back.
    """
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    except BaseException as error:
        with suppress(sqlite3.Error, StateError):
            if database.in_transaction:
                database.execute("ROLLBACK")
            undo()
        if isinstance(error, sqlite3.Error):
            raise StateError(f"the collector's state {path} cannot be written: {error}") from error
        raise
