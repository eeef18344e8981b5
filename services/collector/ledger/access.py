"""Reads and writes the collector's state, and reports a disk that fails in one sentence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from services.collector.ledger.requests import Requests, folder_of
from services.core import checked_rows, files
from services.core.checked_rows import DamagedDatabaseError
from services.core.errors import StateError
from services.core.files import DAMAGED
from services.core.log import logger

_FAILURES: Final = (OSError, sqlite3.Error, DamagedDatabaseError)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Raise StateError when the state at ``path`` cannot be read."""
    try:
        yield
    except _FAILURES as error:
        raise _failure(path, "read", error) from error


@contextmanager
def transaction(
    database: sqlite3.Connection, requests: Requests, path: str, undo: Callable[[], None]
) -> Iterator[None]:
    """Write to the state at ``path`` as a whole. If anything fails, roll back and ``undo`` what is in memory.

    Requests are written first, with the number that the database then has too. If the database is not written, they
    return to the number before, at the latest at the next start. Raises StateError when the state cannot be written.
    That a rollback fails as well says nothing new: the next startup rolls back.
    """
    number = requests.number
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        if requests.changed:
            database.execute("UPDATE fact SET value = ? WHERE name = 'requests'", (number + 1,))
            requests.write(number + 1)
        database.execute("COMMIT")
    except BaseException as error:
        with suppress(*_FAILURES, StateError):
            if database.in_transaction:
                database.execute("ROLLBACK")
            requests.return_to(number)
            undo()
        if isinstance(error, _FAILURES):
            raise _failure(path, "written", error) from error
        raise
    with reading(path):
        requests.complete()


def set_aside(path: str, error: Exception) -> None:
    """Set a damaged state aside, so that the next start recreates it. Raises OSError."""
    logger().error("ledger_damaged", file=path, reason=str(error), kept_as=f"{Path(path).name}{DAMAGED}")
    checked_rows.keep_aside(Path(path))
    folder = folder_of(Path(path))
    if folder.exists():  # not if another access has met the damage before
        shutil.rmtree(folder.with_name(folder.name + DAMAGED), ignore_errors=True)
        files.set_aside(folder)


def _failure(path: str, what: str, error: Exception) -> StateError:
    """Return what a person is told when the state cannot be read or written. A damaged one is set aside."""
    if path and checked_rows.is_damage(error):
        with suppress(OSError):
            set_aside(path, error)
            return StateError(
                f"the collector's state {path} was damaged ({error}) and lies beside it as {Path(path).name}{DAMAGED}: "
                "start the collector again, and it reads its sources again"
            )
    return cannot(path, what, str(error))


def cannot(path: str, what: str, reason: str) -> StateError:
    """Return what a person is told when a state cannot be opened, read or written. A temporary one has no path."""
    if path:
        return StateError(f"the collector's state {path} cannot be {what}: {reason}")
    return StateError(f"the temporary state cannot be {what}: {reason}; TMPDIR may name another folder for it")
