"""Files of measurements and summaries are read, or refused with every fault."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from services.core.codec import measurement_to_json, summary_to_json
from services.core.errors import InputError
from services.core.model.exchange import ExchangeSummary
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.register import Register
from services.register.directory.load import load_register
from services.scorer.offline.jsonl import read_measurements, read_summaries
from services.scorer.offline.score import admitted
from tests.support.registers import write_register

GOOD = {
    "link": "deed-civil",
    "vantage": "north",
    "slot_start": "2026-03-01T00:05:00Z",
    "time": "2026-03-01T00:05:01.250Z",
    "outcome": "OUTCOME_OK",
    "reason": "REASON_OK",
}


def line(**changes: Any) -> str:
    """Return a good line with some fields changed. None leaves a field out."""
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not None})


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(write_register(tmp_path_factory.mktemp("register")))


BAD: dict[str, tuple[str | bytes, Any]] = {
    "not JSON": (
        f'{line()}\n{{"link": deed}}\n',
        ["m:2:10: not JSON: unexpected character, expected a JSON value"],
    ),
    "not an object": (
        "[1]\n",
        ["m:1: not a JSON object"],
    ),
    "cut short": (
        line() + "\n" + line()[:40],
        ["m:2:41: not JSON: unexpected end of data"],
    ),
    "missing fields": (
        line(vantage=None, reason=None) + "\n" + line(link=None) + "\n",
        ["m:1: vantage, reason are missing", "m:2: link or endpoint is missing"],
    ),
    "unknown link and unknown endpoint": (
        line(link="deed-tacks") + "\n" + line(link=None, endpoint="gate") + "\n",
        ["m:1: link: the register has no link 'deed-tacks'", "m:2: endpoint: the register has no endpoint 'gate'"],
    ),
    "everything that is not the register's in one line": (
        "\n" + line(link="x", vantage="west", slot_start="2026-03-01T00:05:01Z", reason="REASON_LATE"),
        [
            "m:2: link: the register has no link 'x'",
            "m:2: reason: LATE belongs to outcome LATE, not to OK",
            "m:2: slot_start: no slot of 300 s begins there",
            "m:2: vantage: the register has no vantage 'west'",
        ],
    ),
    "unaligned slot": (
        line(slot_start="2026-03-01T00:07:00Z"),
        ["m:1: slot_start: no slot of 300 s begins there"],
    ),
    "slots of times that no calendar holds": (
        "\n".join(line(slot_start=f"{year}-12-31T00:00:00Z") for year in ("0001", "1969", "2200", "9999")),
        [f"m:{number}: slot_start: not in the years 1970 to 2199" for number in (1, 2, 3, 4)],
    ),
    "a probe outside its slot": (
        line(time="2026-03-01T00:04:58Z") + "\n" + line(time="2026-03-01T00:13:00Z"),
        [f"m:{number}: time: neither in its slot nor in the longest timeout after it" for number in (1, 2)],
    ),
    "a message stored when no calendar holds it": (
        line(slot_start="0001-01-01T00:00:00Z", stored="0001-01-01T00:00:00Z", sequence="1"),
        ["m:1: stored: not in the years 1970 to 2199"],
    ),
    "reason of another outcome": (
        line(outcome="OUTCOME_UNKNOWN") + "\n" + line(reason="REASON_ABSENT") + "\n",
        [
            "m:1: reason: OK belongs to outcome OK, not to UNKNOWN",
            "m:2: reason: ABSENT belongs to outcome NOT_CONNECTED, not to OK",
        ],
    ),
    "unknown vantage": (
        line(vantage="") + "\n" + line(vantage="west") + "\n",
        ["m:1: vantage is missing", "m:2: vantage: the register has no vantage 'west'"],
    ),
    "bytes that are not UTF-8": (
        line().encode() + b"\n" + line(detail="@").encode().replace(b"@", b"\xff") + b"\n",
        ["m:2:177: not UTF-8"],
    ),
    "a field nobody knows and an outcome nobody knows": (
        line(colour="red") + "\n" + line(outcome="OUTCOME_FINE") + "\n",
        [
            'm:1: Message type "peyvand.v1.Measurement" has no field named "colour" at "Measurement".',
            (
                "m:2: Failed to parse outcome field: Invalid enum value OUTCOME_FINE for enum type peyvand.v1.Outcome at "
                "Measurement.outcome."
            ),
        ],
    ),
    "a slot of a time that is none": (
        line(slot_start="yesterday") + "\n\n" + line(link="x") + "\n",
        [
            (
                "m:1: Failed to parse slot_start field: Failed to parse timestamp: missing valid timezone offset. at "
                "Measurement.slot_start."
            ),
            "m:3: link: the register has no link 'x'",
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_every_fault(name: str, register: Register, tmp_path: Path) -> None:
    """A bad file is refused as a whole, and each fault has its file and line."""
    content, faults = BAD[name]
    path = tmp_path / "m"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_measurements([path], register)
    assert [str(fault).replace(str(path), "m") for fault in caught.value.faults] == faults


def test_report_names_every_fault_of_every_file(register: Register, tmp_path: Path) -> None:
    """Several bad files, including a missing one, are reported together, with a count at the end."""
    one, other, missing = tmp_path / "one", tmp_path / "other", tmp_path / "missing"
    one.write_text(line(link="x") + "\n" + line() + "\n")
    other.write_text(line(vantage="west") + "\n" + "null\n")
    with pytest.raises(InputError) as caught:
        read_measurements([one, missing, other], register)
    assert caught.value.report() == (
        f"{missing}: the file cannot be read: No such file or directory\n"
        f"{one}:1: link: the register has no link 'x'\n"
        f"{other}:1: vantage: the register has no vantage 'west'\n"
        f"{other}:2: not a JSON object\n"
        f"measurements {one}, {missing}, {other} is refused: 4 faults"
    )


def test_good_file_gives_columns_per_vantage(register: Register, tmp_path: Path) -> None:
    """The output of measurement_to_json is read back exactly, to the microsecond, over several files."""
    slot = 1_772_323_500
    rows = [
        Measurement(Target("deed-civil"), "north", slot, slot + 1.234567, Outcome.OK, Reason.OK),
        Measurement(Target("bus", endpoint=True), "south", slot, None, Outcome.UNKNOWN, Reason.SHED),
        Measurement(Target("deed-tax"), "north", slot + 300, slot + 300.5, Outcome.LATE, Reason.LATE, latency=3.0),
    ]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, row in zip(paths, rows, strict=True):
        path.write_text(measurement_to_json(row) + "\n", "utf-8")
    north, south = (lines.columns for lines in read_measurements(paths, register))
    assert (north.vantage, south.vantage) == ("north", "south")
    assert north.targets == (Target("deed-civil"), Target("deed-tax"))
    assert north.target.tolist() == [0, 1]
    assert north.slot_start.tolist() == [slot, slot + 300]
    assert north.time.tolist() == [slot * 1_000_000 + 1_234_567, (slot + 300) * 1_000_000 + 500_000]
    assert north.outcome.tolist() == [Outcome.OK, Outcome.LATE]
    assert north.reason.tolist() == [Reason.OK, Reason.LATE]
    assert (south.targets, south.time.tolist()) == ((Target("bus", endpoint=True),), [-1])


def test_summaries_are_read_or_refused(tmp_path: Path) -> None:
    """Summaries are read back as they were written. A bad line refuses the file."""
    path = tmp_path / "exchanges"
    summary = ExchangeSummary("X/Y/1/c", "X/Y/2/s/get", 1_772_323_500, 3, count=5, ok=4, bus_failures=1)
    path.write_text(summary_to_json(summary) + "\n", "utf-8")
    assert read_summaries([path]) == [summary]
    with path.open("a") as file:
        file.write('{"consumer": "a"}\n')
    with pytest.raises(InputError) as caught:
        read_summaries([path])
    assert caught.value.report() == f"{path}:2: slot_start is missing\nexchanges {path} is refused: 1 fault"


def test_a_dump_may_name_what_the_register_does_not(register: Register, tmp_path: Path) -> None:
    """A dump has lines of several register versions, so entities missing from this one are read, and ignored later."""
    path = tmp_path / "m"
    dumped = {"stored": "2026-03-01T00:05:02.500Z", "sequence": "7"}
    path.write_text(line(**dumped) + "\n" + line(link="gone", vantage="west", **dumped) + "\n" + line(), "utf-8")
    north, west = read_measurements([path], register)
    assert (north.sequence.tolist(), north.stored.tolist()) == ([7, 0], [1_772_323_502.5, inf])
    assert (west.columns.vantage, west.columns.targets, west.sequence.tolist()) == ("west", (Target("gone"),), [7])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"sequence": "7"}, "stored: a line with a sequence says when the stream stored it"),
        ({"sequence": str(2**63), "stored": "2026-03-01T00:05:02Z"}, "sequence: beyond what a stream can count"),
    ],
)
def test_a_dump_needs_complete_positions(
    changes: dict[str, str], fault: str, register: Register, tmp_path: Path
) -> None:
    """A line with half a position in the stream, or a nonsensical one, is refused."""
    path = tmp_path / "m"
    path.write_text(line(**changes), "utf-8")
    with pytest.raises(InputError) as caught:
        read_measurements([path], register)
    assert [str(one) for one in caught.value.faults] == [f"{path}:1: {fault}"]


def test_what_the_scorer_left_out_is_left_out(register: Register, tmp_path: Path) -> None:
    """Rows are left out by the stream's clock, which may step back, and after a message. Lines without a position all
    count.
    """
    start, grace = 1_772_323_500, register.policy.grace_seconds
    moments = [(1, start + 310.0), (2, start + 300 + grace + 0.001), (3, start + 900.0), (4, start + 5000.0)]
    path = tmp_path / "m"
    rows = [
        Measurement(Target("deed-civil"), "north", at, None, Outcome.OK, Reason.OK, stored=stored, sequence=sequence)
        for sequence, stored in moments
        for at in (start, start + 86_400, start + 10 * 86_400)
    ]
    rows.append(Measurement(Target("deed-civil"), "north", start - 300, None, Outcome.OK, Reason.OK))
    path.write_text("".join(measurement_to_json(row) + "\n" for row in rows), "utf-8")
    lines = read_measurements([path], register)
    whole = admitted(register, lines)
    # Only the first row of message 1 counts. Then the clock has passed the end of the first slot's grace for good.
    assert [batch.slot_start.tolist() for batch in whole.batches] == [[start, *[start + 86_400] * 3], [start - 300]]
    assert (whole.sequence, whole.late, whole.early) == (4, 3, 5)
    part = admitted(register, lines, up_to=1)
    assert [batch.slot_start.tolist() for batch in part.batches] == [[start], [start - 300]]
    assert (part.sequence, part.late, part.early) == (1, 0, 2)
