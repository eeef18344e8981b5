"""holidays.csv and the budget of false findings are read strictly and published with the register."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model import FindingPolicy, Holiday
from services.register.bus.chunks import join_chunks, split_register
from services.register.directory.load import load_register
from services.register.versions.diff import diff_registers
from services.register.versions.rows import with_versions
from tests.support.paths import ROOT
from tests.support.registers import HOLIDAYS, write_register


def faults(directory: Path) -> list[str]:
    """Return the faults of a register without its path."""
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults]


def test_holidays_are_read_in_either_calendar(tmp_path: Path) -> None:
    """A year from 1300 to 1500 is Jalali, in any digits. The days are in order."""
    register = load_register(write_register(tmp_path, holidays_csv=HOLIDAYS))
    assert register.holidays == (
        Holiday(date(2026, 3, 21), "nowruz", "Nowruz", "نوروز"),
        Holiday(date(2026, 3, 22), "nowruz", "Nowruz", "نوروز"),
        Holiday(date(2027, 2, 11), "official", "Victory of the Revolution", "پیروزی انقلاب اسلامی"),
    )


def test_every_fault_of_a_holiday_has_its_place(tmp_path: Path) -> None:
    """Days of neither calendar, repeated days, kinds that are no ids, and missing names are faults."""
    text = """\
date,kind,name_en,name_fa
1405-12-30,official,x,ب
2026-02-29,official,x,ب
1405/01/01,Day off,,ب
1405-01-01,nowruz,x,ب
2026-03-21,nowruz,x,
,,x,ب
1600-01-01,official,x,ب
"""
    assert faults(write_register(tmp_path, holidays_csv=text)) == [
        "holidays.csv:2:1: date: `1405-12-30` is no day of the Gregorian or the Jalali calendar",
        "holidays.csv:3:1: date: `2026-02-29` is no day of the Gregorian or the Jalali calendar",
        "holidays.csv:4:1: date: `1405/01/01` is not a date: write YYYY-MM-DD",
        "holidays.csv:4:12: kind: `Day off` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "holidays.csv:4:20: name_en: is empty",
        "holidays.csv:6:1: date: `2026-03-21` is already the day of line 5",
        "holidays.csv:6:21: name_fa: is empty",
        "holidays.csv:7:1: date: is empty",
        "holidays.csv:7:2: kind: is empty",
        "holidays.csv:8:1: date: `1600-01-01` is no day of the Gregorian or the Jalali calendar",
    ]
    assert faults(write_register(tmp_path / "name", holiday_csv="")) == [
        "holiday.csv: no such file is read: is it meant to be holidays.csv?"
    ]


def test_holidays_are_in_neither_version_and_reach_readers(tmp_path: Path) -> None:
    """Holidays change neither version. The bus carries them, and a diff names each."""
    bare = load_register(write_register(tmp_path / "bare"))
    with_them = load_register(write_register(tmp_path / "with", holidays_csv=HOLIDAYS))
    assert with_them.versions == bare.versions
    assert with_versions(join_chunks(split_register(with_them).values())) == with_them
    assert len(diff_registers(bare, with_them).sections["holidays"].added) == 3


def test_the_policy_states_how_many_findings_may_be_false(tmp_path: Path) -> None:
    """The default is one a week and in no hash. Another number reaches readers, and absurd ones are refused."""
    usual = load_register(write_register(tmp_path / "usual"))
    assert usual.policy.findings == FindingPolicy(1.0)
    written = "bus: bus\nfindings: {false_findings_per_week: %s}"
    same = load_register(write_register(tmp_path / "same", policy_yaml=("bus: bus", written % 1)))
    assert same.versions == usual.versions
    other = load_register(write_register(tmp_path / "other", policy_yaml=("bus: bus", written % "0.25")))
    assert other.policy.findings == FindingPolicy(0.25)
    assert other.register_version == usual.register_version
    assert with_versions(join_chunks(split_register(other).values())) == other
    for number in ("0", "-1", "1000", "few"):
        refused = write_register(tmp_path / number, policy_yaml=("bus: bus", written % number))
        assert [fault.split(":")[3] for fault in faults(refused)] == [" false_findings_per_week"]


def test_a_simulated_government_has_weeks_of_its_own(tmp_path: Path) -> None:
    """Steps and weeks may be shorter. A week that is not a multiple of seven steps is refused."""
    written = "bus: bus\nfindings: {step_seconds: 2, week_steps: %s}"
    policy = load_register(write_register(tmp_path / "good", policy_yaml=("bus: bus", written % 14))).policy
    assert policy.findings == FindingPolicy(1.0, 2, 14)
    assert faults(write_register(tmp_path / "bad", policy_yaml=("bus: bus", written % 12))) == [
        "policy.yaml:15:41: week_steps: `12` is not a multiple of 7, the days of a week, up to 2016"
    ]


def test_the_example_has_the_official_holidays_of_a_year(tmp_path: Path) -> None:
    """docs/examples/holidays-1405.csv has no faults, and all its days lie in the year 1405."""
    text = (ROOT / "docs/examples/holidays-1405.csv").read_text("utf-8")
    holidays = load_register(write_register(tmp_path, holidays_csv=text)).holidays
    assert len(holidays) == 26
    assert (holidays[0].day, holidays[-1].day) == (date(2026, 3, 21), date(2027, 3, 20))
