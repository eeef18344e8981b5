"""``peyvand score`` and ``peyvand dump`` as commands; test_equality compares them with the live scorer."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.core.bus.names import exchange_subject, measurement_subject
from services.core.codec import encode_summaries, measurement_from_json, measurement_to_json
from services.core.model.exchange import ExchangeSummary
from services.core.model.outcome import Reason
from tests.support.cases.scorer import SLOT, make_register, measure, put, register_on
from tests.support.forked import run
from tests.support.nats import Nats


def peyvand(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process."""
    return run("services.cli", *arguments)


async def test_dump_takes_a_span_of_slots(nats: Nats, tmp_path: Path) -> None:
    """--from and --to choose slots by their start; exchanges are dumped as they were summarised."""
    await register_on(nats, make_register(tmp_path / "register"))
    began = time.time()
    slot = int(began // SLOT) - 100
    summary = ExchangeSummary("tax-office", "customs/tax-clearance/imports", slot * SLOT, 4, count=3, ok=2)
    async with nats.connect("prober") as prober, nats.connect("collector") as collector:
        for at in range(5):
            await put(prober, [measure("deed-tax", slot + at)])
        await prober.publish(measurement_subject("main", 0), b"\xff garbage", message_id="")
        await collector.publish(exchange_subject("xroad", 0), encode_summaries("xroad", [summary]), message_id="")
    bus = ("--nats", nats.url, "--credentials", nats.credentials)
    start, end = (datetime.fromtimestamp((slot + at) * SLOT, UTC).isoformat() for at in (1, 3))
    dumped = peyvand("dump", "measurements", "--from", start, "--to", end, *bus)
    found = [measurement_from_json(line) for line in dumped.stdout.splitlines()]
    assert [replace(row, stored=None, sequence=0) for row in found] == [measure("deed-tax", slot + at) for at in (1, 2)]
    assert [row.sequence for row in found] == [2, 3]
    assert all(row.stored is not None and began - 1 < row.stored < time.time() + 1 for row in found)
    assert dumped.stderr == "message 6 of MEASUREMENTS is left out: not a valid MeasurementBatch\n"

    exchanged = peyvand("dump", "exchanges", *bus)
    assert exchanged.returncode == 0
    file = tmp_path / "exchanges.ndjson"
    file.write_text(exchanged.stdout, "utf-8")
    measurements = tmp_path / "measurements.ndjson"
    measurements.write_text(measurement_to_json(measure("deed-tax", slot)) + "\n", "utf-8")
    shown = peyvand(
        "score", "--register", tmp_path / "register", "--measurements", measurements, "--exchanges", file, "--window", 7
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Cross-agency Integration Index, 7 days up to" in shown.stdout
    assert shown.stdout.split("provider failed\n")[1].split()[:4] == ["tax-office", "customs", "3", "2"]

    refused = peyvand("dump", "indicators", *bus)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "peyvand: there is no 'indicators' to dump: name measurements or exchanges\n"


def test_default_moment_is_the_end_of_the_newest_slot(tmp_path: Path) -> None:
    """Without --at everything measured counts; an --at before the end of a slot leaves that slot out."""
    folder = make_register(tmp_path / "register", epoch=1_772_323_200)
    slot = 1_772_323_200 // SLOT + 50
    file = tmp_path / "m.ndjson"
    rows = [measure("deed-tax", slot), measure("deed-tax", slot + 1, Reason.STATUS)]
    file.write_text("".join(measurement_to_json(row) + "\n" for row in rows), "utf-8")

    def link(*flags: str) -> dict[str, object]:
        scored = peyvand("score", "--register", folder, "--measurements", file, "--window", 7, "--json", *flags)
        assert (scored.returncode, scored.stderr) == (0, "")
        found = [json.loads(line) for line in scored.stdout.splitlines()]
        (one,) = [row for row in found if (row["kind"], row["id"]) == ("INDICATOR_KIND_LINK", "deed-tax")]
        return one

    both = link()
    assert (both["point"], both["as_of"]) == (0.5, "2026-03-01T00:01:44Z")
    first = link("--at", "2026-03-01T00:01:43Z")
    assert (first["point"], first["as_of"]) == (1.0, "2026-03-01T00:01:42Z")
    refused = peyvand("score", "--register", folder, "--measurements", file, "--at", "noon")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "peyvand: `noon` is neither a day (2026-03-21) nor a time (2026-03-21T08:00+03:30)\n"
    for year in ("0001", "9999"):
        refused = peyvand("score", "--register", folder, "--measurements", file, "--at", f"{year}-12-31")
        sentence = f"`{year}-12-31` is not in the years 1970 to 2199: write Gregorian years, not Jalali ones"
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", f"peyvand: {sentence}\n")


def test_bad_files_are_refused_with_every_fault(tmp_path: Path) -> None:
    """Exit code 1, every fault of every file on stderr in file order, nothing on stdout."""
    folder = make_register(tmp_path / "register", epoch=1_772_323_200)
    good = measurement_to_json(measure("deed-tax", 1_772_323_200 // SLOT))
    one, other = tmp_path / "one.ndjson", tmp_path / "other.ndjson"
    one.write_text(good + "\n" + good.replace("deed-tax", "deed-tacks").replace("main", "moon") + "\n", "utf-8")
    early = good.replace('"slot_start": "2026-', '"slot_start": "0001-')
    other.write_text("{\n" + early + "\n" + good.replace("REASON_OK", "REASON_LATE") + "\n", "utf-8")
    refused = peyvand("score", "--register", folder, "--measurements", one, other)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"{one}:2: link: the register has no link 'deed-tacks'\n"
        f"{one}:2: vantage: the register has no vantage 'moon'\n"
        f"{other}:1:2: not JSON: unexpected end of data\n"
        f"{other}:2: slot_start: not in the years 1970 to 2199\n"
        f"{other}:3: reason: LATE belongs to outcome LATE, not to OK\n"
        f"measurements {one}, {other} is refused: 5 faults\n"
    )


@pytest.mark.parametrize("what", [(), ("--structure",), ("--sensitivity",), ("--json",)])
def test_evidence_from_before_the_epoch_is_told(tmp_path: Path, what: tuple[str, ...]) -> None:
    """If the register's epoch came after the measurements, nothing counts: that is an error, not an empty table."""
    slot = 1_772_323_200
    folder = make_register(tmp_path / "register", epoch=slot + SLOT)
    file = tmp_path / "m.ndjson"
    file.write_text(measurement_to_json(measure("deed-tax", slot // SLOT)) + "\n", "utf-8")
    refused = peyvand("score", "--register", folder, "--measurements", file, *what)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        f"peyvand: nothing counts up to 2026-03-01 00:00:{SLOT:02} UTC: the epoch of register {folder} is 2026-"
    )


def test_nothing_measured_needs_a_moment(tmp_path: Path) -> None:
    """With an empty file the moment has to be given, and only absent links are known."""
    folder = make_register(tmp_path / "register", epoch=1_772_323_200)
    file = tmp_path / "m.ndjson"
    file.touch()
    asked = peyvand("score", "--register", folder, "--measurements", file)
    sentence = "the files hold no measurement: give the time of the index with --at"
    assert (asked.returncode, asked.stderr) == (1, f"peyvand: {sentence}\n")
    scored = peyvand("score", "--register", folder, "--measurements", file, "--at", "2026-03-01T01:00:00Z", "--json")
    whole = json.loads(scored.stdout.splitlines()[0])
    assert (whole["kind"], whole["links_known"], whole["links_absent"]) == ("INDICATOR_KIND_GOVERNMENT", 1, 1)
