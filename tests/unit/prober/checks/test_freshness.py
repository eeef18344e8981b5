"""The age of data is read from times in many formats."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.model.outcome import Reason
from services.core.model.probe import Expect, FreshnessSource, Probe
from services.prober.assignments import assignments
from services.prober.checks.freshness import parse_moment
from services.prober.checks.judgement import judge
from services.prober.expected.compiler import compile_expectations
from services.prober.observation import Observation, StepFacts
from services.register.directory.load import load_register
from tests.support.registers import write_register

TEHRAN = ZoneInfo("Asia/Tehran")
YEARS = range(1300, 1501)


def local(*parts: int) -> float:
    return datetime(*parts, tzinfo=TEHRAN).timestamp()  # type: ignore[misc,arg-type]


def gregorian(year: int, month: int, day: int) -> date | None:
    """Return the day that a Jalali date is read as, or None if there is no such day."""
    start = parse_moment(f"{year}/{month}/{day}", UTC)
    return None if start is None else datetime.fromtimestamp(start, UTC).date()


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-24T12:00:00Z",
        "2026-11-24T15:30:00.000+03:30",
        "2026-11-24 08:30:00-0330",
        "2026-11-24t12:00:00z",
        "Tue, 24 Nov 2026 12:00:00 GMT",
        "Tuesday, 24-Nov-26 12:00:00 GMT",
        "Tue Nov 24 12:00:00 2026",
        1795521600,
        1795521600000,
        1795521600000000,
        1795521600000000000,
        "1795521600000000",
        "1795521600",
        "1795521600.0",
        "۱۷۹۵۵۲۱۶۰۰",
        "1405/09/03 15:30",
        "1405-09-03T15:30:00",
        "1405-09-03T12:00:00Z",
        "۱۴۰۵/۹/۳ ۱۵:۳۰:۰۰",
        "١٤٠٥/٠٩/٠٣ ١٥:٣٠:٠٠",
    ],
)
def test_times_that_are_read(value: object) -> None:
    """RFC 3339, epoch seconds and fractions, HTTP dates and Jalali times mean the same moment, in any digits."""
    assert parse_moment(value, TEHRAN) == 1795521600.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1403/05/12", local(2024, 8, 2)),
        ("1403-05-12", local(2024, 8, 2)),
        ("14030512", local(2024, 8, 2)),
        (14030512, local(2024, 8, 2)),
        ("۱۴۰۳۰۵۱۲", local(2024, 8, 2)),
        ("20240802", local(2024, 8, 2)),
        ("۱۴۰۳/۰۵/۱۲", local(2024, 8, 2)),
        ("1403/5/12 14:05:06", local(2024, 8, 2, 14, 5, 6)),
        ("1403/05/12 14:05:06.25", local(2024, 8, 2, 14, 5, 6) + 0.25),
        ("2024-08-02", local(2024, 8, 2)),
        ("2024/08/02", local(2024, 8, 2)),
        ("1399/12/30", local(2021, 3, 20)),
        ("1401/06/30", local(2022, 9, 21)),  # Iran had summer time until then
    ],
)
def test_dates_are_of_the_policys_timezone(value: object, expected: float) -> None:
    """A date alone is the start of its day, and a Jalali time is local, both in the given timezone."""
    assert parse_moment(value, TEHRAN) == expected
    assert parse_moment(value, UTC) != expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "soon",
        [],
        float("nan"),
        -5,
        0,
        1e300,
        float("inf"),
        946684799,
        4102444800,
        946684799999,
        14031305,
        "14031305",
        14030512.5,
        "140305120",
        "9" * 400,
        "Tue, 24 Nov 2026 12:00:00",
        "Tue Nov 31 12:00:00 2026",
        "2026-11-24T12:00:00",
        "2026-11-24 12:00",
        "2026-02-30",
        "2026-11/24",
        "1403/00/01",
        "1403/13/01",
        "1404/12/30",
        "1403/07/31",
        "1403/05/12 24:00",
        "1403/05/12 12:60:00",
        "2026-11-24T12:00:00+99:99",
        "0000-01-01",
        "1403/05",
        "1403/05/12 soon",
    ],
)
def test_times_that_are_not_read(value: object) -> None:
    """Values that name no moment, days that do not exist, and Gregorian times without an offset are rejected."""
    assert parse_moment(value, TEHRAN) is None


@pytest.mark.parametrize(
    "value",
    ["2016-12-31T23:59:60Z", "2017-01-01 03:29:60+03:30", "1395/10/12 03:29:60", "Sat, 31 Dec 2016 23:59:60 GMT"],
)
def test_a_leap_second_is_the_second_that_follows_it(value: str) -> None:
    """Second 60 at the end of a month in UTC is read, in every form with seconds. A day earlier it is not."""
    assert parse_moment(value, TEHRAN) == 1_483_228_800.0
    earlier = value.replace("-31", "-30").replace("-01-01", "-01-02").replace("/12", "/13").replace("31 Dec", "30 Dec")
    assert parse_moment(earlier, TEHRAN) is None


@pytest.mark.parametrize(
    ("jalali", "expected"),
    [
        ((1357, 11, 22), date(1979, 2, 11)),
        ((1375, 12, 30), date(1997, 3, 20)),
        ((1399, 12, 30), date(2021, 3, 20)),
        ((1400, 1, 1), date(2021, 3, 21)),
        ((1403, 1, 1), date(2024, 3, 20)),
        ((1403, 6, 31), date(2024, 9, 21)),
        ((1403, 7, 1), date(2024, 9, 22)),
        ((1403, 12, 30), date(2025, 3, 20)),
        ((1404, 1, 1), date(2025, 3, 21)),
        ((1408, 12, 30), date(2030, 3, 20)),
    ],
)
def test_known_days(jalali: tuple[int, int, int], expected: date) -> None:
    """Days of history and the last days of leap years match printed calendars."""
    assert gregorian(*jalali) == expected


@pytest.mark.parametrize("year", [1400, 1401, 1402, 1404, 1405, 1406, 1407])
def test_common_years_have_no_thirtieth_of_esfand(year: int) -> None:
    """30 Esfand exists in leap years only."""
    assert gregorian(year, 12, 30) is None


@pytest.mark.parametrize("jalali", [(1403, 0, 1), (1403, 13, 1), (1403, 1, 0), (1403, 1, 32)])
def test_days_that_do_not_exist(jalali: tuple[int, int, int]) -> None:
    """Months and days that the calendar does not have are rejected."""
    assert gregorian(*jalali) is None


@pytest.mark.parametrize("year", [1299, 1501])
def test_years_that_are_not_jalali(year: int) -> None:
    """A year outside 1300 to 1500 is Gregorian."""
    assert gregorian(year, 1, 1) == date(year, 1, 1)


# Periodic terms of the equinox: amplitude, phase and rate in degrees (Meeus, Astronomical Algorithms, table 27.C).
_TERMS = [
    (485, 324.96, 1934.136), (203, 337.23, 32964.467), (199, 342.08, 20.186), (182, 27.85, 445267.112),
    (156, 73.14, 45036.886), (136, 171.52, 22518.443), (77, 222.54, 65928.934), (74, 296.72, 3034.906),
    (70, 243.58, 9037.513), (58, 119.81, 33718.147), (52, 297.17, 150.678), (50, 21.02, 2281.226),
    (45, 247.54, 29929.562), (44, 325.15, 31555.956), (29, 60.93, 4443.417), (18, 155.12, 67555.328),
    (17, 288.79, 4562.452), (16, 198.04, 62894.029), (14, 199.76, 31436.921), (12, 95.39, 14577.848),
    (12, 287.11, 31931.756), (12, 320.81, 34777.259), (9, 227.73, 1222.114), (8, 15.45, 16859.074),
]  # fmt: skip


def _equinox(year: int) -> datetime:
    """Return the March equinox in Tehran's standard time, to some minutes (Meeus, chapter 27; ΔT is about a minute)."""
    y = (year - 2000) / 1000
    mean = 2451623.80984 + 365242.37404 * y + 0.05169 * y**2 - 0.00411 * y**3 - 0.00057 * y**4
    t = (mean - 2451545.0) / 36525
    w = math.radians(35999.373 * t - 2.47)
    light = 1 + 0.0334 * math.cos(w) + 0.0007 * math.cos(2 * w)
    periodic = sum(a * math.cos(math.radians(b + c * t)) for a, b, c in _TERMS)
    julian = mean + 0.00001 * periodic / light
    noon = datetime(2000, 1, 1, 12, tzinfo=timezone(timedelta(hours=3.5)))
    return noon + timedelta(days=julian - 2451545.0) + timedelta(hours=3.5, seconds=-60)


def test_every_year_begins_with_its_equinox() -> None:
    """Each year from 1300 to 1500 begins on the day of the first noon after the equinox in Tehran."""
    close = []
    for year in YEARS:
        equinox = _equinox(year + 621)
        noon = equinox.replace(hour=12, minute=0, second=0, microsecond=0)
        if abs(equinox - noon) < timedelta(minutes=3):
            close.append(year)
        first = equinox.date() if equinox < noon else equinox.date() + timedelta(days=1)
        assert gregorian(year, 1, 1) == first, year
    # This equinox is too close to noon for the formula. The cycle gives 21 March 1930, as calendars do.
    assert close == [1309]


@given(st.dates(date(1921, 3, 21), date(2122, 3, 20)))
def test_every_day_has_one_jalali_date(day: date) -> None:
    """Exactly one Jalali date of the surrounding years is a given Gregorian day."""
    found = []
    for year in (day.year - 622, day.year - 621):
        for month in range(1, 13):
            for number in range(1, 32):
                found += [(year, month, number)] if gregorian(year, month, number) == day else []
    assert len(found) == 1


def test_days_follow_one_another() -> None:
    """In order, the Jalali dates of 1300 to 1500 are Gregorian days without gap or repeat."""
    days = []
    for year in YEARS:
        for month in range(1, 13):
            for number in range(1, 32):
                day = gregorian(year, month, number)
                assert day is not None or number > 29
                days += [] if day is None else [day.toordinal()]
    assert days == list(range(days[0], days[0] + len(days)))


def test_every_target_is_read_in_the_policys_timezone(tmp_path: Path) -> None:
    """Links and endpoints carry the timezone of their register's policy."""
    register = load_register(write_register(tmp_path))
    assert {item.zone for item in assignments(register, None).values()} == {TEHRAN}


def test_steps_of_a_journey_are_read_in_the_policys_timezone() -> None:
    """The age of a step's data is computed in the timezone of the journey's target."""
    midday = local(2026, 11, 24, 12)
    seen = Observation(time=midday, duration=0.0, latency=0.1, status=200, body=b'{"on": "1405/09/03"}')
    step = compile_expectations(
        Probe("step", "http", expect=Expect(fresh=FreshnessSource(path="$.on"))), {}, latency=None, max_age=None
    )
    journey = compile_expectations(Probe("test", "journey"), {}, latency=None, max_age=43200, zone=TEHRAN)
    judgement = judge(replace(seen, steps=(StepFacts("step", seen),)), replace(journey, steps=(step,)))
    assert (judgement.reason, judgement.data_age) == (Reason.OK, 43200)


@pytest.mark.parametrize(
    ("fresh", "body", "age"),
    [
        (FreshnessSource(path="$.updated"), '{"updated": "۱۴۰۵/۰۹/۰۳"}'.encode(), 43200),
        (FreshnessSource(xpath="/r/@on"), b'<r on="1405/09/03"/>', 43200),
        (FreshnessSource(xpath="/r/updated"), b"<r><updated> 1405-09-03 00:00:10 </updated></r>", 43190),
        (FreshnessSource(xpath="string(/r/updated)"), b"<r><updated>1405-09-03</updated></r>", 43200),
        (FreshnessSource(xpath="number(/r)"), b"<r>1795508400</r>", 600),
        (FreshnessSource(xpath="/r/none"), b"<r/>", None),
        (FreshnessSource(xpath="/r"), b"not XML", None),
        (FreshnessSource(path="$.updated"), b"not JSON", None),
    ],
)
def test_where_the_age_stands(fresh: FreshnessSource, body: bytes, age: float | None) -> None:
    """The time is found by JSONPath or XPath and read in the policy's timezone. Without one the age is unreadable."""
    midday = local(2026, 11, 24, 12)
    observation = Observation(time=midday - 0.5, duration=0.5, latency=0.1, status=200, body=body)
    definition = Probe("test", "http", expect=Expect(fresh=fresh))
    judgement = judge(observation, compile_expectations(definition, {}, latency=None, max_age=None, zone=TEHRAN))
    assert judgement.reason is (Reason.AGE_UNREADABLE if age is None else Reason.OK)
    assert judgement.data_age == age


@pytest.mark.parametrize(("ahead", "age"), [(0, 0.0), (86_400, 0.0), (86_401, None)])
def test_data_from_the_future(ahead: int, age: float | None) -> None:
    """A time up to a day ahead, from another clock or timezone, is age 0. One further ahead is no age."""
    now = 1_800_000_000
    seen = Observation(time=now - 0.5, duration=0.5, latency=0.1, status=200, body=b'{"at": %d}' % (now + ahead))
    definition = Probe("test", "http", expect=Expect(fresh=FreshnessSource(path="$.at")))
    judgement = judge(seen, compile_expectations(definition, {}, latency=None, max_age=3600))
    assert judgement.reason is (Reason.AGE_UNREADABLE if age is None else Reason.OK)
    assert judgement.data_age == age
