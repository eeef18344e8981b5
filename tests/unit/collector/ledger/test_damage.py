"""A damaged ledger is recreated, and the damaged file stays beside it."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from services.collector.ledger.ledger import Ledger
from services.core import checked_rows
from services.core.checked_rows import row_check
from services.core.errors import StateError
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, both, counts, raw

__all__ = ["both", "raw"]  # fixtures

CHECKSUM = re.compile(r",\s*intact INTEGER AS \(checksum\([^)]*\)\) STORED")
SINCE = re.compile(r",\s*(message|repeated|repeats)\b( INTEGER)?( NOT NULL DEFAULT 0)?")
"""Columns that only later formats have, and their place in checksums."""

REQUEST = ("id", "newest", "sides", "message", "repeated")

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "zeroed": lambda content: bytes(len(content)),
    "truncated": lambda content: content[: len(content) // 2],
    "overwritten": lambda content: content[:8192] + b"\xff" * (len(content) - 8192),
    "no database": lambda _content: b"nothing of the kind" * 100,
}


def opened(path: Path) -> Ledger:
    """Open a ledger and check it, or open a new one in its place if it is found damaged."""
    with suppress(StateError), ExitStack() as closing_if_damaged:
        ledger = closing_if_damaged.enter_context(Ledger(path, SLOT_SECONDS, now_ms=NOW))
        while ledger.check_rows():
            pass
        closing_if_damaged.pop_all()
        return ledger
    return Ledger(path, SLOT_SECONDS, now_ms=NOW)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_begins_anew(tmp_path: Path, both, damage: str) -> None:
    """The file is set aside, and records that are read again count as if they were new."""
    path = tmp_path / "collector.sqlite"
    records = [record for number in range(400) for record in both(xRequestId=f"x-{number}")]
    with opened(path) as ledger:
        ledger.take("a", batch(*records), now_ms=NOW)
        before = counts(ledger)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))

    with opened(path) as ledger:
        assert counts(ledger) == {}
        ledger.take("a", batch(*records), now_ms=NOW)
        assert counts(ledger) == before
    assert (tmp_path / "collector.sqlite.damaged").exists()
    with opened(path) as ledger:
        assert counts(ledger) == before


def state(path: Path) -> tuple[object, ...]:
    """Return the summaries of a ledger, those that the bus has not acknowledged, its totals and its position."""
    with opened(path) as ledger:
        return tuple(ledger.summaries()), tuple(ledger.unpublished(1000)), ledger.totals(), ledger.position("a")


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path, both) -> None:
    """With any bit of the file flipped, the ledger either keeps its state or is recreated empty."""
    path = tmp_path / "collector.sqlite"
    new = state(tmp_path / "new.sqlite")
    with opened(path) as ledger:
        ledger.take(
            "a", batch(*(record for number in range(40) for record in both(xRequestId=f"x-{number}"))), now_ms=NOW
        )
    whole, before = path.read_bytes(), state(path)
    chance, begun_anew = random.Random(1), 0
    for place in chance.sample(range(100, len(whole)), 200):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
        found = state(path)
        assert found in (before, new), f"byte {place}"
        begun_anew += found == new
    assert begun_anew > 25


@pytest.mark.parametrize("version", [5, 6, 7])
def test_a_ledger_of_a_former_format_is_taken_over(tmp_path: Path, both, version: int) -> None:
    """A file of an older format keeps its state, except repeats before format 7, and its rows have checksums."""
    path = tmp_path / "collector.sqlite"
    records = [record for number in range(40) for record in both(xRequestId=f"x-{number}")]
    with opened(path) as ledger:
        ledger.take("a", batch(*records), now_ms=NOW)
        (known,) = ledger.summaries()
        totals = ledger.totals()
    former = tmp_path / "former.sqlite"
    as_it_was(path, former, version)

    assert state(former)[0::2] == ((known if version > 6 else replace(known, repeats=None),), totals)
    with opened(former) as ledger:
        assert ledger.take("a", batch(*records), now_ms=NOW).duplicates == len(records)
    with closing(sqlite3.connect(former)) as database:
        assert database.execute("SELECT count(*) FROM request WHERE intact IS NULL").fetchone() == (0,)
    assert not list(tmp_path.glob("*.damaged"))


def as_it_was(path: Path, former: Path, version: int) -> None:
    """Copy a ledger into a file of an older format.

    Rows of format 5 have no checksums. Format 6 has no messages and repeats. In format 7 SQLite kept every checksum
    up to date.
    """
    with closing(checked_rows.connect(former)) as database:
        database.execute("ATTACH ? AS now", (str(path),))
        for (sql,) in database.execute("SELECT sql FROM now.sqlite_master WHERE sql IS NOT NULL").fetchall():
            if version > 6 or "INDEX request_message" not in sql:
                kept_up = sql.replace("intact INTEGER\n", f"{row_check(*REQUEST)}\n")
                of_version = kept_up if version > 6 else SINCE.sub("", kept_up)
                database.execute(of_version if version > 5 else CHECKSUM.sub("", of_version))
        for (table,) in database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            info = database.execute(f"PRAGMA main.table_xinfo({table})")
            columns = ", ".join(column[1] for column in info if column[1] != "intact")
            database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
