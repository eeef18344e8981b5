"""``peyvand score --sensitivity``: ranks with their bands, and what moves them."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.codec import measurement_to_json, summary_to_json
from services.core.model.exchange import ExchangeSummary
from services.core.model.outcome import Reason
from services.register.directory.load import load_register
from tests.integration.scorer.test_offline import peyvand
from tests.support.cases.scorer import SLOT, make_register, measure

EPOCH = 1_772_323_200


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A register, and measurements of its links over 200 slots with latencies and ages."""
    folder = tmp_path_factory.mktemp("sensitivity")
    register = make_register(folder / "register", epoch=EPOCH)
    chance = random.Random(11)
    lines = []
    for link in load_register(register).links.values():
        for slot in range(200) if not link.absent else ():
            latency, age = chance.expovariate(1 / 0.15), chance.expovariate(1 / 40_000)
            late, stale = latency * 1000 > link.latency_ms, link.max_age_s is not None and age > link.max_age_s
            reason = Reason.LATE if late else Reason.STALE if stale else Reason.OK
            reason = chance.choice([reason] * 9 + [Reason.SHED])
            row = measure(link.id, EPOCH // SLOT + slot, reason)
            lines.append(measurement_to_json(replace(row, latency=latency, data_age=age)))
    (folder / "m.ndjson").write_text("\n".join(lines), "utf-8")
    return register, folder / "m.ndjson"


def test_lines_hold_bands_and_indices(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Indicators of agencies have rank bands around their rank by L; the last line says how far each switch moves
    ranks.
    """
    register, measurements = files
    slot = EPOCH // SLOT * SLOT
    rows = [
        ExchangeSummary("tax-office", "customs/tax-clearance/imports", slot, 1, count=900),
        ExchangeSummary("tax-office", "customs/tax-clearance/imports", slot, 2, count=3),
        ExchangeSummary("customs", "tax-office/import-permit/tax-status", slot, 1, count=5),
        ExchangeSummary("customs", "tax-office/import-permit/nothing-declared", slot, 1, count=800),
    ]
    exchanges = tmp_path / "e.ndjson"
    exchanges.write_text("\n".join(map(summary_to_json, rows)), "utf-8")
    asked = ("score", "--register", register, "--measurements", measurements, "--sensitivity", "--json")
    found = peyvand(*asked, "--exchanges", exchanges)
    assert (found.returncode, found.stderr) == (0, "")
    *indicators, last = [json.loads(line) for line in found.stdout.splitlines()]
    for kind in ("CONSUMER", "PROVIDER"):
        agencies = [row for row in indicators if row["kind"] == f"INDICATOR_KIND_{kind}"]
        for row in agencies:
            rank = 1 + sum(other["lower"] > row["lower"] for other in agencies)
            assert 1 <= row["rank_band"]["low"] <= rank <= row["rank_band"]["high"] <= len(agencies) == 4
    assert not any("rank_band" in row for row in indicators if row["kind"][15:] not in {"CONSUMER", "PROVIDER"})
    assert {row["window_days"] for row in indicators} == {last["window_days"]} == {28}
    consumers, providers = last["ranks"]
    assert (consumers["cases"], providers["cases"]) == (324, 162)
    switches = {one["switch"]: one for one in consumers["switches"]}
    assert list(switches) == ["weights", "aggregate", "latency limit", "age limit", "window", "unknown"]
    assert switches["weights"]["states"] == ["service", "link", "volume"]
    assert switches["latency limit"]["total_order"] > 0.1
    assert (providers["switches"][1]["states"], providers["switches"][1]["total_order"]) == (["I"], 0.0)

    # The same files give the same digits. Without exchanges, links cannot be weighted by volume.
    assert peyvand(*asked, "--exchanges", exchanges).stdout == found.stdout
    bare = json.loads(peyvand(*asked).stdout.splitlines()[-1])
    assert [row["cases"] for row in bare["ranks"]] == [216, 108]
    assert bare["ranks"][0]["switches"][0]["states"] == ["service", "link"]


def test_ranks_are_shown_with_bands(files: tuple[Path, Path]) -> None:
    """The table has each agency's rank, band, index and bounds, and marks switches that do not apply."""
    register, measurements = files
    shown = peyvand("score", "--register", register, "--measurements", measurements, "--sensitivity", "--window", 7)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("Rank bands and what moves them, 7 days up to 2026-03-01")
    heading = next(number for number, line in enumerate(lines) if "band" in line.split())
    assert lines[heading].split() == ["as", "consumer", "rank", "band", "index", "bounds"]
    rows = [line.split() for line in lines[heading + 2 : heading + 10]]  # each with its name below
    assert [row[1] for row in rows[::2]] == ["1", "2", "3", "4"]
    assert "216 cases, moving an agency by" in shown.stdout
    assert "does not apply" in shown.stdout
    assert "No weights by volume: no exchange of a single link in the window (--exchanges)." in shown.stdout
