from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.core.errors import StateError
from services.sandbox.faults.faults import CYCLE
from services.sandbox.faults.timeline import FaultTimeline
from services.sandbox.logs.access_log import AccessLog
from services.sandbox.logs.json_lines import JsonLinesFile
from services.sandbox.logs.run import Run, RunHeader, choose_run, read_header
from services.sandbox.logs.truth_log import TruthLog
from services.sandbox.scenario.scenario import BUS, make_scenario
from services.sandbox.timing import slot_timing

TIMES = slot_timing(5)
MADE = make_scenario("small", seed=1, base_port=7500, times=TIMES)
WANTED = RunHeader("v" * 64, 5, 0, 1, "small", 1.0, 7500)
START = 1_800_000_002.0  # epoch seconds, two seconds into a slot


def begin(directory: Path, now: float, wanted: RunHeader = WANTED) -> tuple[Run, TruthLog]:
    """Choose a run and open its truth log, as the sandbox does."""
    run = choose_run(directory, wanted, TIMES, now)
    line = FaultTimeline(MADE.served_links, bus=BUS, seed=1, first_slot=run.header.first_slot)
    return run, TruthLog(directory / "truth.ndjson", run.header, line, run.kept, run.cycle)


def written(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / "truth.ndjson").read_text().splitlines()]


def lookup(spans: list[dict[str, object]], slots: range) -> dict[tuple[str, int], tuple[object, ...]]:
    """Return the state of each link in each slot by the spans, and fail on a contradiction."""
    found: dict[tuple[str, int], tuple[object, ...]] = {}
    for span in spans:
        for slot in set(range(int(str(span["from"])), int(str(span["to"])))) & set(slots):
            key = (str(span["link"]), slot)
            assert key not in found
            found[key] = (span["stage"], span["cause"], span["mode"])
    return found


def test_the_truth_is_written_ahead(tmp_path):
    """The truth of a slot is on disk at least a slot before the slot begins."""
    run, truth = begin(tmp_path, START)
    first = run.header.first_slot
    line = FaultTimeline(MADE.served_links, bus=BUS, seed=1, first_slot=first)
    for slot in range(first - 1, first + 4 * CYCLE):
        truth.advance(slot)
        known = lookup(written(tmp_path)[1:], range(slot, slot + 3))
        for each in range(slot, slot + 3):
            expected = {
                (target, each): (span.mode.stage, span.cause, span.mode)
                for target, span in line.state(each).items()
                if target != BUS
            }
            assert {key: value for key, value in known.items() if key[1] == each} == expected
    truth.close()


def test_the_header_comes_first(tmp_path):
    """The first line has version, slot length, first slot and seed, and the first slot is at least a second ahead."""
    run, truth = begin(tmp_path, START)
    truth.close()
    header = written(tmp_path)[0]
    assert header["register_version"] == WANTED.register_version
    assert (header["slot_seconds"], header["seed"]) == (5, 1)
    assert START + 1 <= run.header.first_slot * 5 <= START + 7
    assert read_header(tmp_path / "truth.ndjson") == run.header


@pytest.mark.parametrize("away", [1, 3, 12, 100])
def test_a_restart_goes_on_with_the_same_run(tmp_path, away):
    """A restarted sandbox keeps first slot and spans, lists the slots that it missed, and contradicts nothing."""
    run, truth = begin(tmp_path, START)
    first = run.header.first_slot
    last = first + CYCLE + 5
    for slot in range(first, last + 1):
        truth.advance(slot)
    truth.close()
    back = (last + away) * 5 + 2.5
    again, truth = begin(tmp_path, back)
    assert again.resumed
    assert (again.header.first_slot, again.header.gaps) == (first, ((last, last + away + 1),))
    truth.advance(last + away)
    truth.close()
    line = FaultTimeline(MADE.served_links, bus=BUS, seed=1, first_slot=first)
    sure = [*range(first, last), *range(last + away + 1, last + away + 3)]
    known = lookup(written(tmp_path)[1:], range(first, last + away + 3))
    for slot in sure:
        expected = {(target, slot) for target in line.state(slot) if target != BUS}
        assert {key for key in known if key[1] == slot} == expected


def test_a_second_restart_adds_a_second_gap(tmp_path):
    """Gaps add up over restarts."""
    run, truth = begin(tmp_path, START)
    for times in (1, 2):
        truth.advance(run.header.first_slot + 10 * times)
        truth.close()
        again, truth = begin(tmp_path, (run.header.first_slot + 10 * times + 1) * 5.0)
        assert len(again.header.gaps) == times
    truth.close()


def test_a_torn_line_is_dropped(tmp_path):
    """A line cut by a crash does not stop the next startup, and is not in the log afterwards."""
    run, truth = begin(tmp_path, START)
    truth.advance(run.header.first_slot)
    truth.close()
    with (tmp_path / "truth.ndjson").open("ab") as file:
        file.write(b'{"link": "half')
    again, truth = begin(tmp_path, run.header.first_slot * 5 + 1.0)
    truth.close()
    assert again.resumed
    assert all("from" in span for span in written(tmp_path)[1:])


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 2},
        {"slot_seconds": 10},
        {"scenario": "national"},
        {"register_version": "w" * 64},
        {"faults": 0.5},
        {"base_port": 7600},
    ],
)
def test_another_run_begins_anew(tmp_path, changed):
    """If anything that defines the run differs, a new run begins and the old truth is gone."""
    _, truth = begin(tmp_path, START)
    truth.advance(int(START // 5))
    truth.close()
    wanted = RunHeader(**{**{name: getattr(WANTED, name) for name in WANTED.__slots__}, **changed})
    again, truth = begin(tmp_path, START + 100, wanted)
    truth.close()
    assert not again.resumed
    assert again.header.first_slot * 5 > START + 100
    assert len(written(tmp_path)) == 1


def test_an_unreadable_truth_log_begins_anew(tmp_path):
    """A truth log that cannot be read counts as none."""
    (tmp_path / "truth.ndjson").write_text("nonsense\n")
    run, truth = begin(tmp_path, START)
    truth.close()
    assert not run.resumed


def test_the_access_log(tmp_path):
    """Replies are on disk after a flush, and a resumed log keeps its lines."""
    path = tmp_path / "access.ndjson"
    log = AccessLog(path, resumed=False)
    log.add("a-link", 7, 35.25, "ok")
    log.flush()
    expected = {"link": "a-link", "slot": 7, "time": 35.25, "sent": "ok"}
    assert [json.loads(line) for line in path.read_text().splitlines()] == [expected]
    log.close()
    log = AccessLog(path, resumed=True)
    log.add("b-link", 8, 40.0, "slow")
    log.close()
    assert [json.loads(line)["link"] for line in path.read_text().splitlines()] == ["a-link", "b-link"]
    AccessLog(path, resumed=False).close()
    assert path.read_text() == ""


def test_a_log_that_cannot_be_written_is_said(tmp_path):
    """A directory in place of a log is reported with its path and what to do."""
    (tmp_path / "access.ndjson").mkdir()
    with pytest.raises(StateError, match=r"access\.ndjson: Is a directory; make room or choose another --data"):
        AccessLog(tmp_path / "access.ndjson", resumed=False)
    (tmp_path / "truth.ndjson").mkdir()
    line = FaultTimeline(MADE.served_links, bus=BUS, seed=1, first_slot=1)
    with pytest.raises(StateError, match=r"truth\.ndjson"):
        TruthLog(tmp_path / "truth.ndjson", WANTED, line, (), 0)


def test_a_full_disk_is_still_said_once_the_log_is_closed():
    """A log on a full disk is reported, and closing it afterwards raises nothing in place of the report."""
    log = JsonLinesFile(Path("/dev/full"), None)
    with pytest.raises(StateError, match="No space left on device"):
        log.append([b"{}\n"])
    log.close()
