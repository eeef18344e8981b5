"""The log of departures is written before they take effect, and again after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.exchanges.departures import PERIOD, draw_departures
from services.sandbox.exchanges.traffic import SimulatedTraffic
from services.sandbox.logs.departure_log import DepartureLog
from services.sandbox.scenario.scenario import make_scenario
from services.sandbox.timing import slot_timing

FIRST = 400_000_000


def test_departures_are_written_before_they_take_effect(tmp_path: Path) -> None:
    """Each departure has one line by the slot before it begins, however the log is advanced."""
    times = slot_timing(4)
    bus = make_data_bus(make_scenario("small", seed=1, base_port=7500, times=times))
    traffic = SimulatedTraffic(bus, rate=4.0, seed=1, times=times, first_slot=FIRST, state=lambda _: {})
    path = tmp_path / "departures.ndjson"

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    log = DepartureLog(path, traffic)
    for number in range(24):
        log.advance(FIRST + number)
    assert lines() == []
    log.advance(FIRST + 25)
    log.advance(FIRST + 25)
    first = lines()
    assert {(line["from"], line["to"]) for line in first} == {(FIRST + 26, FIRST + 46)}
    assert len({line["service"] for line in first}) == len({line["kind"] for line in first}) == len(first) == 6
    log.close()
    again = DepartureLog(path, traffic)
    again.advance(FIRST + 100)
    again.close()
    assert next(line["kind"] for line in lines() if line not in first) == "fall"
    assert lines()[:6] == first


def test_a_slot_costs_the_same_after_weeks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a run is, a slot draws no departures but its own."""
    times = slot_timing(4)
    bus = make_data_bus(make_scenario("small", seed=1, base_port=7500, times=times))
    traffic = SimulatedTraffic(bus, rate=4.0, seed=1, times=times, first_slot=FIRST, state=lambda _: {})
    log = DepartureLog(tmp_path / "departures.ndjson", traffic)
    log.advance(FIRST + 100 * PERIOD)
    draw = Mock(wraps=draw_departures)
    monkeypatch.setattr("services.sandbox.exchanges.departures.draw_departures", draw)
    for number in range(PERIOD):
        log.advance(FIRST + 100 * PERIOD + 1 + number)
    log.close()
    assert draw.call_count == 1
