from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.core.model import Holiday
from services.core.model.register import Government, Policy
from services.indicator.calendar import Calendar

LONG_AGO = 0.0


def at(timezone: str, year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(timezone)).timestamp())


def test_window_is_the_complete_days_and_today_so_far():
    """At half past ten, a window of seven days begins at midnight seven days before today and ends now."""
    calendar = Calendar("Europe/Berlin", LONG_AGO, 300)
    end = at("Europe/Berlin", 2024, 5, 15, 10, 30) // 300
    window = calendar.window(7, end)
    assert window == range(at("Europe/Berlin", 2024, 5, 8) // 300, end)


def test_window_ending_at_midnight_holds_only_complete_days():
    """When the last slot ends exactly at midnight, today is empty and the window is the days before it."""
    calendar = Calendar("Asia/Tehran", LONG_AGO, 300)
    midnight = at("Asia/Tehran", 2024, 5, 15) // 300
    assert calendar.window(7, midnight) == range(midnight - 7 * 288, midnight)
    assert calendar.window(7, midnight - 1).start == midnight - 8 * 288
    assert calendar.window(7, midnight + 1).start == midnight - 7 * 288


def test_window_never_starts_before_the_epoch():
    """The first slot is the first to begin at or after the epoch, even within a day. A window before it is empty."""
    epoch = at("UTC", 2024, 5, 14, 6, 0) + 1
    calendar = Calendar("UTC", float(epoch), 300)
    first = at("UTC", 2024, 5, 14, 6, 5) // 300
    assert calendar.epoch_slot == first
    assert calendar.window(28, first + 10) == range(first, first + 10)
    assert len(calendar.window(28, first - 10)) == 0


def test_a_slot_belongs_by_its_start():
    """If midnight is at half past and slots are hours, the slot that midnight cuts belongs to the day before."""
    calendar = Calendar("Asia/Tehran", LONG_AGO, 3600)
    day = date(2024, 5, 15)
    assert calendar.midnight(day) % 3600 == 1800
    first = calendar.first_slot(day)
    assert calendar.start_of(first) == calendar.midnight(day) + 1800
    assert calendar.day_of(first) == day
    assert calendar.day_of(first - 1) == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        ("Europe/Berlin", date(2024, 3, 31), 23),
        ("Europe/Berlin", date(2024, 10, 27), 25),
        ("America/Havana", date(2024, 3, 10), 23),
        ("America/Havana", date(2024, 11, 3), 25),
        ("Asia/Tehran", date(2021, 3, 22), 23),
        ("Asia/Tehran", date(2021, 9, 21), 25),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_days_have_the_hours_their_clocks_give_them(timezone, day, hours):
    """Clock changes, at night or over midnight, give days of 23 and 25 hours. A skipped day has none."""
    calendar = Calendar(timezone, LONG_AGO, 300)
    first, end = calendar.first_slot(day), calendar.first_slot(day + timedelta(days=1))
    assert (end - first) * 300 == hours * 3600
    assert all(calendar.day_of(slot) == day for slot in range(first, end))


@pytest.mark.parametrize(
    ("timezone", "year"),
    [
        ("America/Havana", 2010),
        ("Asia/Tehran", 2010),
        ("Pacific/Apia", 2010),
        ("America/St_Johns", 2010),
        ("America/Toronto", 1918),
    ],
)
def test_days_follow_each_other_without_gap_or_overlap(timezone, year):
    """Through three years of clock changes, slot by slot, days never go back and each begins at its first slot."""
    calendar = Calendar(timezone, LONG_AGO, 1800)
    slot = calendar.first_slot(date(year, 1, 1))
    before = calendar.day_of(slot)
    for later in range(slot, slot + 48 * 365 * 3):
        day = calendar.day_of(later)
        assert day == before or (day > before and later == calendar.first_slot(day))
        before = day


@pytest.mark.parametrize(
    ("timezone", "begins", "steps"),
    [
        ("UTC", (2026, 3, 29, 0), [1, 1, 1]),
        ("Asia/Tehran", (2026, 3, 29, 0), [1, 1, 1]),
        ("Europe/Berlin", (2026, 3, 29, 0), [1, 2, 1]),
        ("Europe/Berlin", (2026, 10, 25, 1), [1, 0, 1]),
    ],
)
def test_local_hours_follow_the_clock(timezone, begins, steps):
    """An hour is skipped where clocks go forward and repeated where they go back. Half-hour offsets change nothing."""
    first = at(timezone, *begins) // 3600
    found = Calendar(timezone, LONG_AGO, 300).local_hours(range(first, first + 4))
    assert np.diff(found).tolist() == steps
    assert found[0] % 24 == datetime.fromtimestamp(first * 3600, ZoneInfo(timezone)).hour


def test_epoch_without_offset_is_in_the_policy_timezone():
    """An epoch without an offset is in the policy's timezone."""
    government = Government("gov", "", "")
    naive = Policy(government, "Asia/Tehran", datetime(2024, 1, 1))  # noqa: DTZ001 - the case under test
    aware = Policy(government, "Asia/Tehran", datetime(2023, 12, 31, 20, 30, tzinfo=UTC))
    assert Calendar.of(naive) == Calendar.of(aware)


def test_a_step_has_the_kind_of_the_local_day_in_which_it_begins():
    """Kinds are numbered by name from 1, an ordinary day is 0, and days begin at local midnight."""
    calendar = Calendar("Asia/Tehran", LONG_AGO, 300)
    holidays = [
        Holiday(date(2026, 3, day), kind, "", "") for day, kind in ((21, "nowruz"), (22, "nowruz"), (24, "eid"))
    ]
    starts = np.arange(at("Asia/Tehran", 2026, 3, 20), at("Asia/Tehran", 2026, 3, 26), 3600)
    kinds = calendar.day_kinds(starts, holidays)
    assert kinds.reshape(6, 24).tolist() == [[kind] * 24 for kind in (0, 2, 2, 0, 1, 0)]
    assert calendar.day_kinds(starts, []).tolist() == [0] * 144
