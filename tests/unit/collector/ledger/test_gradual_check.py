"""The rows of a ledger are checked a part at a time after it was opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from services.collector.ledger import gradual_check
from services.collector.ledger.ledger import Ledger
from services.core import checked_rows
from services.core.errors import StateError
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, counts, raw

__all__ = ["raw"]  # the fixture

SUMMARIES, A_PART = 40, 7


@pytest.fixture
def path(tmp_path: Path, raw, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of some summaries, which is checked in small parts."""
    monkeypatch.setattr(gradual_check, "_ROWS", A_PART)
    path = tmp_path / "collector.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        records = [raw(NOW - number * SLOT_SECONDS * 1000, xRequestId=f"x-{number}") for number in range(SUMMARIES)]
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
    """A whole ledger takes a step for each part of its summaries, and keeps its state."""
    assert check(path) == SUMMARIES // A_PART + 1
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert len(counts(ledger)) == SUMMARIES
    assert not list(path.parent.glob("*.damaged"))


def test_rows_that_come_and_go_meanwhile_are_not_damaged(path: Path, raw) -> None:
    """Records are taken, and summaries acknowledged, between two steps."""
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        number = 0
        while ledger.check_rows():
            number += 1
            ledger.take("a", batch(raw(xRequestId=f"y-{number}", serviceCode=f"service-{number}")), now_ms=NOW)
            ledger.acknowledge(ledger.unpublished(10))
        assert number >= SUMMARIES // A_PART


def change_a_summary(path: Path) -> None:
    """Change a value and keep the checksum, which SQLite would write anew."""
    with closing(checked_rows.connect(path)) as database:
        [(slot, intact)] = database.execute("SELECT slot, intact FROM summary LIMIT 1").fetchall()
        database.create_function("checksum", -1, lambda *_: intact, deterministic=True)
        database.execute("UPDATE summary SET count = count + 1 WHERE slot = ?", (slot,))
        database.commit()


def add_unindexed(path: Path) -> None:
    with without_index(path, "summary_unpublished") as database:
        names = [column[1] for column in database.execute("PRAGMA table_info(summary)")]
        values = ", ".join({"slot": "slot + 1"}.get(name, name) for name in names)
        database.execute(f"INSERT INTO summary ({', '.join(names)}) SELECT {values} FROM summary LIMIT 1")


@pytest.mark.parametrize("make", [change_a_summary, add_unindexed])
def test_damage_is_found_after_the_start(path: Path, make: Callable[[Path], object]) -> None:
    """The ledger opens, a step finds the damage, and the next start recreates the ledger."""
    make(path)
    sentence = (
        f"^the collector's state {path} was damaged .a row of summary. and lies beside it as collector.sqlite.damaged: "
    )
    with pytest.raises(StateError, match=sentence):
        check(path)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert counts(ledger) == {}
