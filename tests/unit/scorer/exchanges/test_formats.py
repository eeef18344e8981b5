"""Files of exchanges that are damaged, of older formats, or of another kind are handled."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path

import pytest

from services.core.errors import StateError
from services.core.model import StreamPosition
from services.scorer.exchanges.database import ExchangeDatabase
from tests.support.cases.exchange_database import (
    BASE,
    CALENDAR,
    DAY,
    DETAILED,
    NOON,
    hours,
    opened,
    take,
    volume,
    volumes,
)

FORMER = """
CREATE TABLE position (stream TEXT PRIMARY KEY, created TEXT, sequence INTEGER) WITHOUT ROWID;
CREATE TABLE flow (
    id INTEGER PRIMARY KEY, bus TEXT, client TEXT, service TEXT, meta INTEGER, alias TEXT, UNIQUE (bus, client, service)
);
CREATE TABLE hours (
    flow INTEGER, day INTEGER, counts BLOB, PRIMARY KEY (flow, day)
) WITHOUT ROWID;
CREATE TABLE summary (
    flow INTEGER, slot_start INTEGER, seconds INTEGER, revision INTEGER, day INTEGER,
    count INTEGER, ok INTEGER, bus_failures INTEGER, provider_failures INTEGER,
    PRIMARY KEY (flow, slot_start)
) WITHOUT ROWID;
CREATE INDEX summary_day ON summary (day);
CREATE TABLE length (seconds INTEGER PRIMARY KEY);
CREATE TABLE volume (
    flow INTEGER, day INTEGER,
    count INTEGER, ok INTEGER, bus_failures INTEGER, provider_failures INTEGER, last_slot INTEGER,
    PRIMARY KEY (flow, day)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""The tables of version 0.2.0."""


def filled(path: Path) -> bytes:
    """Return the file of a database with several flows, days and revisions."""
    exchanges = opened(path)
    for revision in (1, 2):
        rows = [
            replace(BASE, client=f"X/G/1/{client}", slot_start=NOON - 7200 * slot, revision=revision, count=10 + slot)
            for client in ("tax", "land", "customs")
            for slot in range(40)
        ]
        exchanges.take(
            [(NOON + 60, "xroad", rows)], calendar=CALENDAR, position=StreamPosition("E", "monday", revision)
        )
    exchanges.close()
    return path.read_bytes()


def content(exchanges: ExchangeDatabase) -> tuple[object, ...]:
    """Return everything that a database says."""
    flows, by_hour, ok = hours(exchanges, range(NOON // 3600 - 100, NOON // 3600 + 2))
    since = DAY - timedelta(days=9)
    return volumes(exchanges, since=since), exchanges.position(), flows, by_hour.tolist(), ok.tolist()


def test_every_damage_is_noticed_or_harmless(tmp_path: Path) -> None:
    """With any bit changed or cut off, a file says the same, or is set aside and recreated without a position."""
    data, path = filled(tmp_path / "good"), tmp_path / "exchanges.sqlite"
    good = opened(tmp_path / "good")
    expected = content(good)
    good.close()
    chance = random.Random(4)
    places = [*range(120), *(chance.randrange(len(data)) for _ in range(300))]
    changed = [data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :] for place in places]
    anew = 0
    for damaged in (*changed, data[: len(data) // 2], data[:4096], b"", bytes(len(data))):
        path.write_bytes(damaged)
        exchanges = opened(path)
        with suppress(StateError):
            exchanges.verify()
        if exchanges.damaged:
            exchanges.begin_anew()
        if exchanges.position() is None:
            anew += 1
            assert damaged == b"" or path.with_name("exchanges.sqlite.damaged").read_bytes() == damaged
            assert take(exchanges, BASE) == 0
            assert volumes(exchanges) == (volume(),)
        else:
            assert content(exchanges) == expected
        exchanges.close()
        for file in tmp_path.glob("exchanges.sqlite*"):
            file.unlink()
    assert 100 < anew < len(places)


def as_released(new: ExchangeDatabase, path: Path) -> None:
    """Write what a database holds into a file of version 0.2.0. Its hours do not say which failures were on the bus."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FORMER)
        for table in ("position", "flow", "hours", "summary", "length", "volume"):
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_xinfo({table})"))
            rows = new._database.execute(f"SELECT {columns} FROM {table}").fetchall()
            if table == "hours":
                rows = [(flow, day, counts[: 2 * 24 * 4]) for flow, day, counts in rows]
            if rows:
                old.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        old.commit()


def test_a_file_of_version_0_2_0_is_taken_over(tmp_path: Path) -> None:
    """A file without checksums is read, and gets checksums from then on. When its last message was stored is unknown."""
    filled(tmp_path / "new")
    new = opened(tmp_path / "new")
    as_released(new, tmp_path / "old")
    expected = content(new)
    new.close()
    for _ in range(2):
        exchanges = opened(tmp_path / "old")
        exchanges.verify()
        assert (content(exchanges), exchanges.stored()) == (expected, inf)
        exchanges.close()


def test_details_of_version_0_2_0_are_unknown(tmp_path: Path) -> None:
    """An hour's failures are divided like the day's. A summary that is replaced is subtracted as it was added."""
    failing = replace(BASE, count=10, ok=4, bus_failures=4, provider_failures=2)
    new = opened(tmp_path / "new")
    take(new, failing, replace(failing, slot_start=NOON + 3_600, count=6, ok=6, bus_failures=0, provider_failures=0))
    as_released(new, tmp_path / "old")
    new.close()
    exchanges = opened(tmp_path / "old")
    with exchanges.reading() as reading:
        hour = NOON // 3_600
        by_hour = reading.steps([0], range(hour, hour + 2), 3_600)
        assert by_hour.counts[:, 0].tolist() == [[10, 6], [4, 6], [4, 0]]
        by_slot = reading.steps([0], range(NOON // 300, NOON // 300 + 2), 300)
        assert by_slot.counts[:, 0].tolist() == [[10, 0], [4, 0], [4, 0]]
        for steps in (by_hour, by_slot):
            assert not any(of.any() for of in (steps.size, steps.repeats, steps.counted, steps.durations))
        assert reading.first_steps(300) == {0: NOON // 300}
        assert reading.first_steps(3_600) == {0: NOON // 86_400 * 24}
    take(exchanges, replace(failing, revision=2, **DETAILED))
    with exchanges.reading() as reading:
        steps = reading.steps([0], range(hour, hour + 1), 3_600)
        assert (steps.size[0, 0], steps.counted[0, 0], steps.durations.sum()) == (50, 10, 10)
    exchanges.close()


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """A file of another format is reported with what to do and stays unchanged."""
    path = tmp_path / "exchanges.sqlite"
    opened(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE other (name TEXT); PRAGMA user_version = 99;")
    with pytest.raises(StateError) as caught:
        opened(path)
    assert str(caught.value) == (
        f"the exchange volumes in {path} have format 99, and this version writes 5: move the file away to start anew from "
        "what EXCHANGES still holds"
    )


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    """A file that is not a database is kept beside the new one."""
    path = tmp_path / "exchanges.sqlite"
    path.write_bytes(b"not a database, but long enough to look like a page of one " * 20)
    exchanges = opened(path)
    assert exchanges.position() is None
    assert path.with_name(f"{path.name}.damaged").read_bytes().startswith(b"not a database")
    exchanges.close()
