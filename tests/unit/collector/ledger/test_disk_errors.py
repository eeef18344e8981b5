"""A disk that fails ends the collector with one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from services.collector.ledger.executor import LedgerExecutor
from services.collector.ledger.ledger import Ledger
from services.collector.records import ReplayTimeline
from services.core.errors import StateError
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, raw

__all__ = ["raw"]  # the fixture

USES: dict[str, Callable[[Ledger, Any], object]] = {
    "position": lambda ledger, _record: ledger.position("log"),
    "take": lambda ledger, record: ledger.take("log", batch(record), now_ms=NOW),
    "unpublished": lambda ledger, _record: ledger.unpublished(10),
    "acknowledge": lambda ledger, _record: ledger.acknowledge([], 1),
    "publish_again": lambda ledger, _record: ledger.publish_again(1),
    "replay": lambda ledger, _record: ledger.replay("log", ReplayTimeline()),
    "summaries": lambda ledger, _record: list(ledger.summaries()),
    "totals": lambda ledger, _record: ledger.totals(),
}


class BrokenDatabase:
    """A database on a disk that fails, in the middle of a transaction."""

    in_transaction = True

    def execute(self, *_args: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    executemany = execute


@pytest.mark.parametrize("use", USES)
def test_a_disk_error_is_one_sentence(tmp_path: Path, raw: Callable[[], dict[str, Any]], use: str) -> None:
    """Whatever is asked of a ledger on a disk that fails raises StateError, which names the file and the reason."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger, closing(ledger._database):
        ledger._database, kept = cast(sqlite3.Connection, BrokenDatabase()), ledger._database
        with pytest.raises(StateError, match=f"the collector's state {path} cannot be .*: disk I/O error"):
            USES[use](ledger, raw())
        ledger._database = kept


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """If the folder of the state cannot be made, StateError says which file and why."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "folder" / "state.sqlite"
    with pytest.raises(StateError, match=f"the collector's state {path} cannot be opened: Not a directory"):
        async with LedgerExecutor().ledger(path, SLOT_SECONDS, NOW):
            pass
