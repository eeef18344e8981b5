"""Volumes per pair of agencies from summaries that replace one another."""

from __future__ import annotations

import random
import re
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core import checked_rows
from services.core.codec import ExchangeVolume
from services.core.errors import StateError
from services.core.model import StreamPosition
from services.core.model.exchange import ExchangeSummary, Flow, Parties
from services.core.model.register import ExchangeRoute, Member
from services.indicator.calendar import Calendar
from services.indicator.exchanges.reconciliation import flows_per_link
from services.indicator.exchanges.traffic import assign_flows, sum_traffic
from services.indicator.exchanges.volume import volume_change
from services.register.attribution import Attribution, Attributor
from services.register.directory.load import load_register
from services.scorer.exchanges.database import ExchangeDatabase
from tests.support.registers import write_register

CALENDAR = Calendar("UTC", 0.0, 300)
NOON = 1_772_366_400  # 2026-03-01T12:00:00Z
DAY = date(2026, 3, 1)
BASE = ExchangeSummary("X/G/1/tax", "X/G/2/civil/status", NOON, 1, count=10, ok=8, bus_failures=1, provider_failures=1)


class ByName(Attributor):
    """Takes the last part of a party for its agency, and gives all of one client to a link."""

    def __init__(self, link: str = "") -> None:
        super().__init__(None)
        self.link = link

    def attribute(self, parties: Parties, alias: str = "") -> Attribution:
        consumer, provider = (party.rpartition("/")[2] for party in (parties.client, parties.provider))
        return Attribution(consumer, alias or provider, self.link)


def opened(path: Path | str) -> ExchangeDatabase:
    """A database that attributes by name."""
    exchanges = ExchangeDatabase(path)
    exchanges.attribute_by(ByName())
    return exchanges


def volume(
    slots: int = 1, *, of: str = "tax", to: str = "civil", meta: bool = False, last: int = NOON
) -> ExchangeVolume:
    """The volume of so many slots like BASE."""
    return ExchangeVolume(of, to, meta, 10 * slots, 8 * slots, slots, slots, last)


def volumes(exchanges: ExchangeDatabase, *, since: date = DAY) -> tuple[ExchangeVolume, ...]:
    """The volumes from a day on, without their span, which has a test of its own."""
    found = exchanges.volumes(since, end_slot=CALENDAR.slot_of(NOON), calendar=CALENDAR)
    return tuple(replace(one, slots_from=0, slots_to=0) for one in found)


def take(exchanges: ExchangeDatabase, *rows: ExchangeSummary, stored: float = NOON + 60, bus: str = "xroad") -> int:
    position = StreamPosition("EXCHANGES", "monday", 1)
    return exchanges.take([(stored, bus, rows)], calendar=CALENDAR, position=position)


def hours(exchanges: ExchangeDatabase, span: range) -> tuple[tuple[Flow, ...], NDArray[np.int32], NDArray[np.int32]]:
    """All flows, and what each carried in every hour."""
    with exchanges.reading() as reading:
        return reading.flows, *reading.hours(range(len(reading.flows)), span)


def test_highest_revision_counts_in_any_order() -> None:
    """However revisions arrive and repeat, each slot counts once, with its highest revision."""
    rows = [
        replace(BASE, slot_start=NOON + 300 * slot, revision=revision, count=10 * revision, ok=8 * revision)
        for slot in range(5)
        for revision in (1, 2, 3)
    ]
    for seed in range(20):
        exchanges = opened(":memory:")
        shuffled = random.Random(seed).sample(rows * 2, len(rows) * 2)
        for row in shuffled:
            take(exchanges, row)
        assert volumes(exchanges) == (ExchangeVolume("tax", "civil", False, 150, 120, 5, 5, NOON + 1200),)
        exchanges.close()


def test_volumes_have_a_span() -> None:
    """The span of volumes is from the first day's midnight to the end of the index, or beyond it if later slots came
    in.
    """
    exchanges = opened(":memory:")
    calendar = Calendar("Asia/Tehran", 0.0, 300)
    customs = replace(BASE, service="X/G/3/customs/get")
    early, late = replace(BASE, slot_start=NOON - 9 * 3600), replace(customs, slot_start=NOON + 600)
    before = replace(BASE, service="X/G/4/land/get", slot_start=NOON - 16 * 3600)  # still the day before in Tehran
    exchanges.take([(NOON + 900, "xroad", [BASE, early, late, before])], calendar=calendar)
    midnight = NOON - 12 * 3600 - 3 * 3600 - 1800
    found = exchanges.volumes(DAY, end_slot=calendar.slot_of(NOON + 300), calendar=calendar)
    assert found == (
        replace(volume(2), slots_from=midnight, slots_to=NOON + 300),
        replace(volume(to="customs", last=NOON + 600), slots_from=midnight, slots_to=NOON + 900),
    )
    exchanges.close()


def filled(path: Path) -> bytes:
    """The file of a database with several flows, days and revisions."""
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
    """Everything that a database says."""
    flows, by_hour, ok = hours(exchanges, range(NOON // 3600 - 100, NOON // 3600 + 2))
    since = DAY - timedelta(days=9)
    return volumes(exchanges, since=since), exchanges.position(), flows, by_hour.tolist(), ok.tolist()


def test_every_damage_is_noticed_or_harmless(tmp_path: Path) -> None:
    """With any bit changed, or cut off, a file says what it said, or it is set aside and begun anew without a position."""
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


def test_a_file_of_version_0_2_0_is_taken_over(tmp_path: Path) -> None:
    """A file without checksums is read, and written with them from then on."""
    filled(tmp_path / "new")
    new = opened(tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "old")) as old:
        old.executescript(FORMER)
        for table in ("position", "flow", "hours", "summary", "length", "volume"):
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_xinfo({table})"))
            rows = new._database.execute(f"SELECT {columns} FROM {table}").fetchall()
            if table == "hours":
                rows = [(flow, day, narrow(counts)) for flow, day, counts in rows]
            old.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        old.commit()
    expected = content(new)
    new.close()
    for _ in range(2):
        exchanges = opened(tmp_path / "old")
        exchanges.verify()
        assert content(exchanges) == expected
        exchanges.close()


def narrow(counts: bytes) -> bytes:
    """Return the hours of a day as formats before 3 have them, without those that failed on the bus."""
    return counts[: 2 * 24 * 4]


def as_it_was(path: Path, version: int) -> None:
    """Make a file of format 2, whose hours are narrow, or 3; neither has details."""
    with closing(checked_rows.connect(path)) as old:
        (sql,) = old.execute("SELECT sql FROM sqlite_master WHERE name = 'summary'").fetchone()
        info = old.execute("PRAGMA table_xinfo(summary)").fetchall()
        columns = ", ".join(column[1] for column in info if column[1] not in ("details", "intact"))
        old.execute("ALTER TABLE summary RENAME TO later")
        old.execute(re.sub(r",\s*details( BLOB)?\b", "", sql))
        old.execute(f"INSERT INTO summary ({columns}) SELECT {columns} FROM later")
        for table in ("later", "hour_details"):
            old.execute(f"DROP TABLE {table}")
        old.execute("CREATE INDEX summary_day ON summary (day)")
        if version == 2:
            rows = [(narrow(counts), *key) for counts, *key in old.execute("SELECT counts, flow, day FROM hours")]
            old.executemany("UPDATE hours SET counts = ? WHERE flow = ? AND day = ?", rows)
        old.execute(f"PRAGMA user_version = {version}")
        old.commit()


@pytest.mark.parametrize("version", [2, 3])
def test_a_file_of_a_former_format_is_taken_over(tmp_path: Path, version: int) -> None:
    """Of format 2 failures of an hour are divided as those of the day were. Details of before are not known, and a summary of
    then that is replaced is subtracted as it was added.
    """
    failing = replace(BASE, count=10, ok=4, bus_failures=4, provider_failures=2)
    new = opened(tmp_path / "volumes")
    take(new, failing, replace(failing, slot_start=NOON + 3_600, count=6, ok=6, bus_failures=0, provider_failures=0))
    before = content(new)
    new.close()
    as_it_was(tmp_path / "volumes", version)
    for _ in range(2):
        exchanges = opened(tmp_path / "volumes")
        exchanges.verify()
        assert content(exchanges) == before
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
        exchanges.close()
    exchanges = opened(tmp_path / "volumes")
    take(exchanges, replace(failing, revision=2, **DETAILED))
    with exchanges.reading() as reading:
        steps = reading.steps([0], range(hour, hour + 1), 3_600)
        assert (steps.size[0, 0], steps.counted[0, 0], steps.durations.sum()) == (50, 10, 10)
    exchanges.close()


DETAILED: dict[str, Any] = {
    "request_bytes": 20,
    "response_bytes": 30,
    "repeats": 2,
    "duration_buckets": (0, 7, *(0,) * 37, 3),
}
"""What ten exchanges may tell beside their counts."""


@pytest.mark.parametrize("step", [3_600, 300])
def test_steps_have_what_summaries_tell(step: int) -> None:
    """Sizes, repeats and durations add up to steps, are replaced with their summaries, and are missing where not known."""
    exchanges = opened(":memory:")
    told = replace(BASE, **DETAILED)
    unknown = replace(told, slot_start=NOON + 3_600, repeats=None)
    take(exchanges, replace(told, count=20, repeats=7, request_bytes=1 << 62), unknown, stored=NOON + 7_200)
    take(exchanges, replace(told, revision=2), stored=NOON + 7_200)
    with exchanges.reading() as reading:
        first, second = NOON // step, (NOON + 3_600) // step
        steps = reading.steps([0], range(first - 1, second + 2), step)
        found = [
            (
                steps.counts[0, 0, at],
                steps.size[0, at],
                steps.repeats[0, at],
                steps.counted[0, at],
                steps.durations[0, at].sum(),
                steps.durations[0, at, 39],
            )
            for at in (0, 1, second - first + 1)
        ]
    assert found == [(0, 0, 0, 0, 0, 0), (10, 50, 2, 10, 10, 3), (10, 50, 0, 0, 10, 3)]
    exchanges.close()


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


def test_pairs_buses_and_meta_services_count_apart() -> None:
    """One pair's volume is split by meta services only; the same slot on two buses is two slots."""
    exchanges = opened(":memory:")
    take(
        exchanges,
        BASE,
        replace(BASE, service="X/G/2/civil/getWsdl", meta=True),
        replace(BASE, client="X/G/9/_unmapped"),
    )
    take(exchanges, BASE, bus="other")
    assert volumes(exchanges) == (
        volume(of="_unmapped"),
        volume(2),
        volume(meta=True),
    )
    exchanges.close()


def test_an_alias_stands_in_for_the_provider() -> None:
    """Volumes of a flow are those of its alias; the last one taken in counts."""
    exchanges = opened(":memory:")
    take(exchanges, BASE)
    take(exchanges, replace(BASE, alias="customs", revision=2))
    assert volumes(exchanges) == (volume(to="customs"),)
    exchanges.close()


def test_the_last_slot_is_one_that_holds_exchanges() -> None:
    """In any order of replacements, by any service, bus and pair, the last slot of a pair is the latest one with
    exchanges.
    """
    rows = [
        replace(BASE, slot_start=NOON + 300 * slot, service=service, revision=revision, count=count)
        for slot in (*range(4), -144, -145)
        for service in ("X/G/2/civil/a", "X/G/2/civil/b", "X/G/3/customs/c")
        for revision, count in enumerate((10, 0, 10, 0), 1)
    ]
    chance = random.Random(7)
    for _ in range(100):
        exchanges = opened(":memory:")
        force: dict[tuple[str, str, int], ExchangeSummary] = {}
        for _ in range(8):
            bus, some = chance.choice(("xroad", "other")), chance.sample(rows, 4)
            take(exchanges, *some, bus=bus)
            for row in some:
                key = bus, row.service, row.slot_start
                force[key] = max(force.get(key, row), row, key=lambda one: one.revision)
            last: dict[str, int] = {}
            for (_, service, slot), row in force.items():
                if row.count:
                    provider = service.split("/")[3]
                    last[provider] = max(last.get(provider, 0), slot)
            assert {one.provider: one.last_slot for one in volumes(exchanges, since=date(2026, 2, 1))} == last
        exchanges.close()


def test_too_old_and_future_summaries_are_left_out() -> None:
    """Summaries of slots that are too old, or in the future, are counted as left out and change nothing."""
    exchanges = opened(":memory:")
    old, future = replace(BASE, slot_start=NOON - 15 * 86_400), replace(BASE, slot_start=NOON + 2 * 86_400)
    far = [replace(BASE, slot_start=slot) for slot in (-(1 << 62), 1 << 62)]
    assert take(exchanges, old, future, *far, BASE) == 4
    assert volumes(exchanges, since=date(2000, 1, 1)) == (volume(),)
    exchanges.close()


def test_position_is_kept_with_what_was_taken_in(tmp_path: Path) -> None:
    """Volumes and position survive together, and taking everything in again changes nothing."""
    path = tmp_path / "exchanges.sqlite"
    exchanges = opened(path)
    assert exchanges.position() is None
    position = StreamPosition("EXCHANGES", "monday", 17)
    exchanges.take([(NOON + 60, "xroad", [BASE])], calendar=CALENDAR, position=position)
    exchanges.close()
    again = opened(path)
    assert again.position() == position
    again.take([(NOON + 60, "xroad", [BASE])], calendar=CALENDAR, position=position)
    assert volumes(again) == (volume(),)
    again.close()


def test_trim_forgets_days_beyond_the_window() -> None:
    """Days older than the window go; the window's own volumes stay although their summaries went."""
    exchanges = opened(":memory:")
    moments = [NOON + day * 86_400 for day in range(0, 60, 10)]
    for moment in moments:
        take(exchanges, replace(BASE, slot_start=moment), stored=moment + 60)
    exchanges.trim(date(2026, 4, 20), 28, calendar=CALENDAR)
    kept = volumes(exchanges, since=date(2000, 1, 1))
    assert kept == (volume(3, last=moments[-1]),)
    exchanges.close()


def test_nothing_is_forgotten_before_there_is_a_position() -> None:
    """Until then all of it may come again, and what was forgotten would count twice."""
    exchanges = opened(":memory:")
    for _ in range(2):
        exchanges.take([(NOON + 60, "xroad", [BASE])], calendar=CALENDAR)
        exchanges.trim(DAY + timedelta(days=20), 28, calendar=CALENDAR)
    assert volumes(exchanges) == (volume(),)
    exchanges.close()


def test_hours_follow_revisions_and_the_register(tmp_path: Path) -> None:
    """Hours count each slot by its highest revision, whichever order they came in, for the link that the register names."""
    hour = NOON // 3600
    newer = replace(BASE, revision=2, count=7, ok=7)
    later = replace(BASE, slot_start=NOON + 3900)
    for order in ((BASE, newer, later), (later, newer, BASE), (newer, later, BASE, newer)):
        exchanges = opened(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite")
        take(exchanges, *order, stored=NOON + 7200)
        exchanges.attribute_by(ByName("tax-civil"))
        flows, count, ok = hours(exchanges, range(hour - 1, hour + 2))
        found = {one.link: (row.tolist(), good.tolist()) for one, row, good in zip(flows, count, ok, strict=True)}
        assert found == {"tax-civil": ([0, 7, 10], [0, 7, 8])}
        exchanges.close()


def test_hours_of_nothing() -> None:
    """Before the first exchange there is no flow."""
    exchanges = opened(":memory:")
    carriers, count, _ = hours(exchanges, range(5, 9))
    assert (carriers, count.shape) == ((), (0, 4))
    exchanges.close()


def test_hours_are_trimmed_with_their_carriers() -> None:
    """Hours older than the window are dropped, and flows without any left."""
    exchanges = opened(":memory:")
    take(exchanges, BASE, replace(BASE, service="X/G/2/civil/other", slot_start=NOON + 86_400), stored=NOON + 90_000)
    exchanges.trim(date(2026, 3, 30), 28, calendar=CALENDAR)
    carriers, count, _ = hours(exchanges, range(NOON // 3600, NOON // 3600 + 48))
    assert [one.service for one in carriers] == ["X/G/2/civil/other"]
    assert count.sum() == 10
    exchanges.close()


@pytest.mark.parametrize(("former_seconds", "seconds"), [(300, 600), (600, 300), (300, 420), (900, 600)])
def test_slots_of_another_length_replace_what_they_overlap(former_seconds: int, seconds: int) -> None:
    """Exchanges that come again in longer or shorter slots count once, in any order.

    What does not come again stays, and late summaries of former slots that do not fit the present ones change
    nothing.
    """
    chance = random.Random(seconds)
    begin, again = NOON - 3 * 86_400, NOON // 12_600 * 12_600 - 86_400  # where slots of all of these lengths begin
    moments = [chance.randrange(begin, NOON) for _ in range(1000)]
    before = Calendar("UTC", 0.0, former_seconds)
    after = Calendar("UTC", 0.0, seconds)

    def counted(since: int, length: int, revision: int) -> list[ExchangeSummary]:
        slots = Counter(moment // length * length for moment in moments if moment >= since)
        rows = [replace(BASE, slot_start=at, revision=revision, count=n, ok=n) for at, n in slots.items()]
        return [replace(row, bus_failures=0, provider_failures=0) for row in rows]

    exchanges = opened(":memory:")
    former_rows = counted(begin, former_seconds, 5)
    exchanges.take([(NOON + 60, "xroad", former_rows)], calendar=before, position=StreamPosition("E", "monday", 1))
    rows = counted(again, seconds, 1000)
    exchanges.take([(NOON + 60, "xroad", chance.sample(rows, len(rows)))], calendar=after)
    unfit = [row for row in former_rows if row.slot_start >= again and row.slot_start % seconds]
    exchanges.take([(NOON + 60, "xroad", unfit)], calendar=after)
    (one,) = volumes(exchanges, since=date(2026, 2, 1))
    assert (one.count, one.ok) == (1000, 1000)
    assert one.last_slot == max(moments) // seconds * seconds
    assert hours(exchanges, range(begin // 3600 - 1, NOON // 3600 + 1))[1].sum() == 1000
    exchanges.trim(date(2026, 3, 30), 90, calendar=after)
    exchanges.take([(NOON + 30 * 86_400, "xroad", [replace(BASE, slot_start=NOON + 29 * 86_400)])], calendar=after)
    (one,) = volumes(exchanges, since=date(2026, 2, 1))
    assert one.count == 1010
    exchanges.close()


def test_a_new_register_attributes_all_that_is_kept(tmp_path: Path) -> None:
    """Sixty days of exchanges of an unmapped consumer are the link's once a register names it, in hours, volumes and
    traffic, and their volume is as usual.
    """
    found = load_register(write_register(tmp_path / "register"))
    client, service = "X/G/3/tax", "X/G/4/customs/imports"
    register = replace(
        found,
        register_version="second",
        members=(Member("X/G/3", "tax-office"), Member("X/G/4", "customs")),
        routes=(ExchangeRoute(client, service, "clearance-customs"),),
    )
    row = replace(BASE, client=client, service=service)
    generic = replace(row, client="tax-office", service="customs/tax-clearance/imports")
    begin, days = NOON // 3600 * 3600, 60
    exchanges = opened(tmp_path / "exchanges.sqlite")
    for hour in range(0, days * 24, 24):
        slots = [begin + (hour + of_day) * 3600 for of_day in range(24)]
        rows = [replace(one, slot_start=slot, count=10 + slot // 3600 % 24) for slot in slots for one in (row, generic)]
        take(exchanges, *rows, stored=slots[-1] + 600)
    exchanges.attribute_by(Attributor(found))
    assert {one.consumer for one in volumes(exchanges)} == {"_unmapped", "tax-office"}
    exchanges.attribute_by(Attributor(register))
    span = range(begin // 3600, begin // 3600 + days * 24)
    carriers, count, ok = hours(exchanges, span)
    assert {(one.consumer, one.provider, one.link) for one in carriers} == {
        ("tax-office", "customs", "clearance-customs")
    }
    assigned = flows_per_link(assign_flows(register, carriers), ["clearance-customs"])[0]
    told = sum_traffic(
        {("tax-office", "customs")}, carriers, exchanges=count.sum(axis=1), ok=ok.sum(axis=1), window_days=90
    )
    total = 2 * sum(10 + slot % 24 for slot in span)
    assert (count[assigned].sum(), told.exchanges, told.undeclared_exchanges) == (total, total, 0)
    change = volume_change(count[assigned].sum(axis=0, keepdims=True).astype(np.int64))
    assert (change.seen == change.expected).all()
    (one,) = volumes(exchanges)
    assert (one.consumer, one.provider, one.count) == ("tax-office", "customs", total)
    exchanges.close()


def test_what_comes_while_it_is_read_is_not_seen(tmp_path: Path) -> None:
    """A snapshot does not change while more is taken in."""
    span = range(NOON // 3600, NOON // 3600 + 1)
    exchanges = opened(tmp_path / "exchanges.sqlite")
    take(exchanges, BASE)
    with exchanges.reading() as reading:
        take(exchanges, replace(BASE, revision=2, count=12), replace(BASE, service="X/G/2/civil/other"))
        assert reading.hours(range(len(reading.flows)), span)[0].tolist() == [[10]]
    assert hours(exchanges, span)[1].tolist() == [[12], [10]]
    exchanges.close()


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """A file of another format is named with what to do, and left as it is."""
    path = tmp_path / "exchanges.sqlite"
    opened(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE other (name TEXT); PRAGMA user_version = 99;")
    with pytest.raises(StateError) as caught:
        opened(path)
    assert str(caught.value) == (
        f"the exchange volumes in {path} have format 99, and this version writes 4: move the file away to start anew from "
        "what EXCHANGES still holds"
    )


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    """A file that is not a database stays beside the new one that takes its place."""
    path = tmp_path / "exchanges.sqlite"
    path.write_bytes(b"not a database, but long enough to look like a page of one " * 20)
    exchanges = opened(path)
    assert exchanges.position() is None
    assert path.with_name(f"{path.name}.damaged").read_bytes().startswith(b"not a database")
    exchanges.close()
