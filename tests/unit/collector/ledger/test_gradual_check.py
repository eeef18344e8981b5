"""The rows of a ledger are checked a part at a time after it was opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.collector.ledger import gradual_check
from services.collector.ledger.ledger import Ledger
from services.core import checked_rows
from services.core.errors import StateError
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, both, counts, raw

__all__ = ["both", "raw"]  # fixtures

REQUESTS, A_PART = 40, 7


@pytest.fixture
def path(tmp_path: Path, both, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of some requests and one summary, which is checked in small parts."""
    monkeypatch.setattr(gradual_check, "_ROWS", A_PART)
    path = tmp_path / "collector.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        records: list[dict[str, Any]] = []
        for number in range(REQUESTS):
            records += both(xRequestId=f"x-{number}", messageId=f"m-{number // 2}")
        ledger.take("a", batch(*records), now_ms=NOW)
    return path


@contextmanager
def without_index(path: Path, name: str) -> Iterator[sqlite3.Connection]:
    """Connect to a ledger and hide an index from SQLite, so that SQLite does not keep it up."""
    with closing(checked_rows.connect(path)) as database:
        (row,) = database.execute("SELECT * FROM sqlite_master WHERE name = ?", (name,)).fetchall()
        database.execute("PRAGMA writable_schema = ON")
        database.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
        database.commit()
    with closing(checked_rows.connect(path)) as database:
        yield database
        database.execute("PRAGMA writable_schema = ON")
        database.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
        database.commit()


def check(path: Path) -> int:
    """Open a ledger, check all of its rows, and return the number of steps."""
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        steps = 1
        while ledger.check_rows():
            steps += 1
        assert ledger.check_rows() is False
        return steps


def test_every_row_is_checked_in_parts(path: Path) -> None:
    """A whole ledger takes a step for each part of each table and index, and keeps its state."""
    assert check(path) == 1 + 2 * (REQUESTS // A_PART + 1)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        [summary] = counts(ledger).values()
        assert summary
    assert not list(path.parent.glob("*.damaged"))


def test_rows_that_come_and_go_meanwhile_are_not_damaged(path: Path, both) -> None:
    """Records are taken, and summaries acknowledged, between two steps."""
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        number = 0
        while ledger.check_rows():
            number += 1
            ledger.take("a", batch(*both(xRequestId=f"y-{number}", messageId="m-1")), now_ms=NOW)
            ledger.acknowledge(ledger.unpublished(10))
        assert number > A_PART


def change_a_request(path: Path) -> None:
    with closing(checked_rows.connect(path)) as database:
        database.execute("UPDATE request SET newest = newest + 1 WHERE id = (SELECT max(id) FROM request)")
        database.commit()


def change_a_summary(path: Path) -> None:
    """Change a value and keep the checksum, which SQLite would write anew."""
    with closing(checked_rows.connect(path)) as database:
        [(intact,)] = database.execute("SELECT intact FROM summary").fetchall()
        database.create_function("checksum", -1, lambda *_: intact, deterministic=True)
        database.execute("UPDATE summary SET count = count + 1")
        database.commit()


def add_unindexed(path: Path, table: str, index: str, **changed: str) -> None:
    with without_index(path, index) as database:
        made_by_sqlite = {"summary": ("intact",), "request": ()}[table]
        names = [column[1] for column in database.execute(f"PRAGMA table_xinfo({table})")]
        names = [name for name in names if name not in made_by_sqlite]
        values = ", ".join(changed.get(name, name) for name in names)
        database.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} LIMIT 1")
        if table == "request":
            database.execute(f"UPDATE request SET intact = {checked_rows.check_of(database, table)}")


def remove_unindexed(path: Path) -> None:
    with without_index(path, "request_message") as database:
        database.execute("DELETE FROM request WHERE id = (SELECT max(id) FROM request)")


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "value of a request": ("request", change_a_request),
    "value of a summary": ("summary", change_a_summary),
    "request missing in the index": (
        "request",
        lambda path: add_unindexed(path, "request", "request_message", id="x'ffff'"),
    ),
    "summary missing in the index": (
        "summary",
        lambda path: add_unindexed(path, "summary", "summary_unpublished", slot="slot + 300"),
    ),
    "request in the index alone": ("request_message", remove_unindexed),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_after_the_start(path: Path, damage: str) -> None:
    """The ledger opens, a step says where the damage is, and the next start recreates the ledger."""
    place, make = DAMAGES[damage]
    make(path)
    sentence = (
        f"^the collector's state {path} was damaged .a row of {place}. and lies beside it as collector.sqlite.damaged: "
    )
    with pytest.raises(StateError, match=sentence):
        check(path)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert counts(ledger) == {}
