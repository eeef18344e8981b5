"""`peyvand findings COUNTS.csv` finds what is unusual in any counts and names every fault of the file."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict

from peyvand.v1 import finding_pb2
from services.cli.__main__ import main

START = datetime(2026, 1, 3, tzinfo=UTC)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``peyvand findings`` with arguments, on a terminal wide enough for the whole table."""
    monkeypatch.setenv("COLUMNS", "200")

    def peyvand(*arguments):
        monkeypatch.setattr(sys, "argv", ["peyvand", "findings", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return SimpleNamespace(exit_code=ended.value.code, stdout=out, stderr=err)

    return peyvand


def write_counts(path: Path, *, stopped: bool, expected_zero: bool = False, start: datetime = START) -> Path:
    """Write five weeks of two streams in steps of six hours; a stopped stream stops two days before the end."""
    rng = np.random.default_rng(3)
    lines = ["time,stream,count,failed,expected_zero"]
    for step in range(35 * 4):
        moment = (start + timedelta(hours=6 * step)).astimezone(UTC)
        late = step >= 33 * 4
        for stream, mean in (("orders", 400.0), ("visits", 90.0)):
            count = 0 if stopped and late and stream == "orders" else int(rng.poisson(mean * (0.5 + step % 4)))
            zero = "true" if expected_zero and late and stream == "orders" else "false"
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{stream},{count},{count // 100},{zero}")
    path.write_text("\n".join(lines))
    return path


def since_of(printed: dict[str, str]) -> datetime:
    """Return since when a finding goes on, which is printed as --json: the message of the contract."""
    return ParseDict(printed, finding_pb2.Finding()).since.ToDatetime(UTC)


def test_a_stream_that_stops_is_found(run, tmp_path: Path) -> None:
    """The one finding has its kind, the stream, the count seen, and the time since when."""
    file = write_counts(tmp_path / "counts.csv", stopped=True)
    result = run(file, "--step", "6h", "--json")
    assert result.exit_code == 0
    (finding,) = map(json.loads, result.stdout.splitlines())
    assert (finding["kind"], finding["subject"], finding["seen"]) == ("FINDING_KIND_SILENCE", "orders", 0)
    assert since_of(finding) == START + timedelta(days=33)
    assert "silence  orders  2026-02-05 00:00" in run(file, "--step", "6h").stdout


def test_a_step_begins_at_an_hour_of_the_time_zone(run, tmp_path: Path) -> None:
    """Steps of a zone that is half an hour off UTC's begin at its whole hours."""
    start = START.replace(tzinfo=ZoneInfo("Asia/Tehran"))
    file = write_counts(tmp_path / "counts.csv", stopped=True, start=start)
    (finding,) = map(json.loads, run(file, "--step", "6h", "--timezone", "Asia/Tehran", "--json").stdout.splitlines())
    assert since_of(finding) == start + timedelta(days=33)


@pytest.mark.parametrize(
    ("zone", "first"),
    [("Asia/Tehran", "2026-02-20"), ("Europe/London", "2026-02-20"), ("America/New_York", "2026-09-20")],
)
def test_a_day_is_one_of_the_time_zone(run, tmp_path: Path, zone: str, first: str) -> None:
    """Daily counts are of the days of the zone, also across a change of its clock, and a stop has the day since when."""
    rng, days = np.random.default_rng(3), [date.fromisoformat(first) + timedelta(days=number) for number in range(70)]
    lines = ["time,stream,count"]
    for number, day in enumerate(days):
        lines += [f"{day},orders,{rng.poisson(400) * (number < 60)}", f"{day},visits,{rng.poisson(90)}"]
    (tmp_path / "counts.csv").write_text("\n".join(lines))
    result = run(tmp_path / "counts.csv", "--step", "1d", "--timezone", zone, "--json")
    (finding,) = map(json.loads, result.stdout.splitlines())
    assert since_of(finding).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == datetime.combine(days[60], time.min)
    assert (
        f"silence  orders  {days[60]} 00:00" in run(tmp_path / "counts.csv", "--step", "1d", "--timezone", zone).stdout
    )


def test_nothing_is_found_where_nothing_is_wrong_or_nothing_was_expected(run, tmp_path: Path) -> None:
    """Chance alone, and a stop that the file says to expect, give no finding."""
    for stopped, zero in ((False, False), (True, True)):
        file = write_counts(tmp_path / "counts.csv", stopped=stopped, expected_zero=zero)
        result = run(file, "--step", "6h", "--json")
        assert (result.exit_code, result.stdout) == (0, "")


def test_every_fault_of_the_file_is_named(run, tmp_path: Path) -> None:
    """A bad time, a negative count, more failures than counts and a repeated step are reported with their lines."""
    file = tmp_path / "counts.csv"
    file.write_text(
        "time,stream,count,failed\n"
        "yesterday,a,1,0\n"
        "2026-01-03T00:00:00Z,a,-1,0\n"
        "2026-01-03T01:00:00Z,a,3,4\n"
        "2026-01-03T02:00:00Z,a,3,0\n"
        "2026-01-03T02:30:00Z,a,3,0\n"
    )
    result = run(file)
    assert result.exit_code == 1
    assert result.stdout == ""
    for line, said in (
        (2, "time: `yesterday` is not a time"),
        (3, "count: `-1` is negative"),
        (4, "failed: 4 of 3 cannot have failed"),
        (6, "time: `a` has this step already in line 5"),
    ):
        assert any(f"counts.csv:{line}:" in one and said in one for one in result.stderr.splitlines()), result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--step", "7m"), "--step 7m does not divide a day: give a step such as 5m, 1h or 1d"),
        (("--step", "soon"), "--step: `soon` is not a duration"),
        (("--timezone", "Tehran"), "--timezone: `Tehran` is not a time zone: write a name such as Asia/Tehran"),
    ],
)
def test_a_wrong_option_is_one_sentence(run, tmp_path: Path, arguments: tuple[str, str], said: str) -> None:
    """A step that does not divide a day, a bad duration and an unknown time zone are refused."""
    result = run(write_counts(tmp_path / "counts.csv", stopped=False), *arguments)
    assert result.exit_code == 1
    assert said in result.stderr


def test_what_is_too_quiet_is_said(run, tmp_path: Path) -> None:
    """A rare stream is named with the days that its silence takes to be sure of. A nearly empty one is not judged."""
    lines = ["time,stream,count"]
    for day in range(70):
        moment = f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"
        lines += (
            [f"{moment},orders,400"] + [f"{moment},visits,1"] * (day % 4 == 0) + [f"{moment},returns,1"] * (day == 3)
        )
    (tmp_path / "counts.csv").write_text("\n".join(lines))
    said = run(tmp_path / "counts.csv", "--step", "1d").stderr
    assert run(tmp_path / "counts.csv", "--step", "1d", "--json").stderr == said
    assert "1 of 3 streams are too short or too quiet to be judged" in said
    days = re.search(r"the silence of 1 takes more than a week to be sure of: that of visits (\d+) days", said)
    assert days is not None
    assert 10 < int(days[1]) < 60
