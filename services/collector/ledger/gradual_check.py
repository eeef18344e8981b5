"""Checks the table of summaries a part at a time, so that a start does not wait for it (ADR 124)."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import Final

from services.core import checked_rows
from services.core.checked_rows import DamagedDatabaseError

_ROWS: Final = 10_000  # of a part, which takes a tenth of a second
_LEAST: Final = -(1 << 63)


class GradualCheck:
    """One check of all summaries that the table holds. Rows that are written meanwhile may be checked or not.

    Each row's checksum is checked, and that the index has the row if it waits to be published. Another entry in the index
    would do no harm.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        waiting = "revision > published"
        # Of two rows of one table, SQLite takes the columns of the inner one where none is named.
        self._query = (
            f"SELECT pair, slot, intact IS NOT {checked_rows.check_of(database, 'summary')} OR {waiting}"  # noqa: S608
            f" AND NOT EXISTS (SELECT 1 FROM summary INDEXED BY summary_unpublished WHERE {waiting}"
            " AND revision = row.revision AND pair = row.pair AND slot = row.slot)"
            f" FROM summary AS row WHERE (pair, slot) > (?, ?) ORDER BY pair, slot LIMIT {_ROWS}"
        )
        self._after: tuple[int, int] | None = (_LEAST, _LEAST)

    def step(self) -> bool:
        """Check the next rows, and return whether any are left.

        Raises DamagedDatabaseError, and sqlite3.Error when the file cannot be read.
        """
        if self._after is None:
            return False
        found = self._database.execute(self._query, self._after).fetchall()
        keys = [self._after, *((pair, slot) for pair, slot, _ in found)]
        if any(damaged for *_, damaged in found) or any(one >= other for one, other in pairwise(keys)):
            raise DamagedDatabaseError("a row of summary")
        self._after = keys[-1] if len(found) == _ROWS else None
        return self._after is not None
