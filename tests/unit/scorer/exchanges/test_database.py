"""Volumes per pair of agencies are counted from summaries that replace one another."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from services.core.codec import ExchangeVolume
from services.core.model import StreamPosition
from services.core.model.exchange import ExchangeSummary
from services.indicator.calendar import Calendar
from services.scorer.exchanges import ExchangeDatabase, summaries
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
    """Volumes span from the first day's midnight to the end of the index, or to a later slot if one came in."""
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


@pytest.mark.parametrize("step", [3_600, 300])
def test_steps_have_what_summaries_tell(step: int) -> None:
    """Sizes, repeats and durations are summed by step, replaced with their summaries, and missing where unknown."""
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


def test_pairs_buses_and_meta_services_count_apart() -> None:
    """One pair's volume is split by meta services only. The same slot on two buses is two slots."""
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
    """Volumes of a flow belong to its alias. The last alias counts."""
    exchanges = opened(":memory:")
    take(exchanges, BASE)
    take(exchanges, replace(BASE, alias="customs", revision=2))
    assert volumes(exchanges) == (volume(to="customs"),)
    exchanges.close()


def test_the_last_slot_is_one_that_holds_exchanges() -> None:
    """With any replacements, services and buses, the last slot of a pair is the latest one with exchanges."""
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
    """Summaries of slots that are too old or in the future are counted as left out and change nothing."""
    exchanges = opened(":memory:")
    old, future = replace(BASE, slot_start=NOON - 15 * 86_400), replace(BASE, slot_start=NOON + 2 * 86_400)
    far = [replace(BASE, slot_start=slot) for slot in (-(1 << 62), 1 << 62)]
    assert take(exchanges, old, future, *far, BASE) == 4
    assert volumes(exchanges, since=date(2000, 1, 1)) == (volume(),)
    exchanges.close()


def test_position_is_kept_with_what_was_taken_in(tmp_path: Path) -> None:
    """Volumes and position are stored together, and reading everything again changes nothing."""
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
    """Days older than the window are dropped. The window's volumes stay although their summaries are gone."""
    exchanges = opened(":memory:")
    moments = [NOON + day * 86_400 for day in range(0, 60, 10)]
    for moment in moments:
        take(exchanges, replace(BASE, slot_start=moment), stored=moment + 60)
    list(exchanges.trim(date(2026, 4, 20), 28, calendar=CALENDAR))
    kept = volumes(exchanges, since=date(2000, 1, 1))
    assert kept == (volume(3, last=moments[-1]),)
    exchanges.close()


def test_summaries_are_dropped_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller gets a turn after each part, and all summaries that are old enough are dropped at the end."""
    monkeypatch.setattr(summaries, "_DROPPED_AT_ONCE", 2)
    exchanges = opened(":memory:")
    take(exchanges, *(replace(BASE, slot_start=NOON + 300 * slot) for slot in range(5)))
    left = [_count(exchanges) for _ in exchanges.trim(DAY + timedelta(days=16), 28, calendar=CALENDAR)]
    assert left == [3, 1, 0]
    exchanges.close()


def test_nothing_is_forgotten_before_there_is_a_position() -> None:
    """Without a position everything may come again, and dropped slots would count twice."""
    exchanges = opened(":memory:")
    for _ in range(2):
        exchanges.take([(NOON + 60, "xroad", [BASE])], calendar=CALENDAR)
        list(exchanges.trim(DAY + timedelta(days=20), 28, calendar=CALENDAR))
    assert volumes(exchanges) == (volume(),)
    exchanges.close()


def _count(exchanges: ExchangeDatabase) -> int:
    with exchanges.reading() as seen:
        (count,) = seen.database.execute("SELECT COUNT(*) FROM summary").fetchone()
    return int(count)


def test_what_comes_while_it_is_read_is_not_seen(tmp_path: Path) -> None:
    """A snapshot does not change while more is ingested."""
    span = range(NOON // 3600, NOON // 3600 + 1)
    exchanges = opened(tmp_path / "exchanges.sqlite")
    take(exchanges, BASE)
    with exchanges.reading() as reading:
        take(exchanges, replace(BASE, revision=2, count=12), replace(BASE, service="X/G/2/civil/other"))
        assert reading.hours(range(len(reading.flows)), span)[0].tolist() == [[10]]
    assert hours(exchanges, span)[1].tolist() == [[12], [10]]
    exchanges.close()
