"""Vantages that should measure are known, with the newest slot of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.core.codec import decode_columns, encode_measurements
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement, MeasurementColumns, Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.register.directory.load import load_register
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.index.silent_vantages import VantageWatch, probing_spans
from services.scorer.state.loading import LoadedState
from tests.support.registers import write_register

EPOCH = 1_767_213_000  # 2026-01-01T00:00 in Tehran
SLOT = 300
ALL = (float("-inf"), float("inf"))
EVER = frozenset({ALL})


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(write_register(tmp_path_factory.mktemp("register")))


def midnight(day: date) -> float:
    """Return the first moment of a day in Tehran."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() - 3.5 * 3600


def measured(vantage: str, slot: int, *, off: int = 0) -> MeasurementColumns:
    """Return a measurement of a vantage in a slot after the epoch, ``off`` seconds from its start."""
    start = EPOCH + SLOT * slot + off
    row = Measurement(Target("birth-tax"), vantage, start, start + 1.0, Outcome.OK, Reason.OK)
    return decode_columns(encode_measurements([row]))


def test_a_vantage_without_targets_is_not_expected(register: Register) -> None:
    """A vantage without targets is not expected. Absent links, and days outside a link's own, do not count."""
    begins, ends = date(2026, 2, 1), date(2026, 5, 1)
    links = {
        "live": replace(register.links["birth-tax"], vantages=("north",), live_from=begins, required_until=ends),
        "paper": replace(register.links["birth-tax"], id="paper", vantages=("south",), live_from=None),
    }
    some = replace(register, links=links, endpoints={})
    assert probing_spans(some) == {"north": {(midnight(begins), midnight(ends))}}
    later = replace(links["live"], id="later", required_from=date(2026, 6, 1), required_until=None)
    spans = {(midnight(begins), midnight(ends)), (midnight(date(2026, 6, 1)), float("inf"))}
    assert probing_spans(replace(some, links={**links, "later": later})) == {"north": spans}
    every = probing_spans(register)
    assert set(every) == {"north", "south"}
    assert (EPOCH, float("inf")) in every["south"], "a target that names no vantage is seen from all"


def test_the_newest_slot_of_a_vantage_counts() -> None:
    """The newest slot counts from the first look on. A vantage that never measures stays at that look."""
    vantages = VantageWatch()
    expected = {"north": EVER, "south": EVER}
    assert vantages.newest(expected, {"north": 400.0}, 1000.0) == {"north": 1000.0, "south": 1000.0}
    assert vantages.newest(expected, {"north": 1500.0}, 1700.0) == {"north": 1500.0, "south": 1000.0}


def test_a_vantage_that_comes_back_is_expected_anew() -> None:
    """A vantage that leaves the register is not shown. When it returns, it has as much time as a new one."""
    vantages = VantageWatch()
    vantages.newest({"north": EVER, "south": EVER}, {}, 1000.0)
    assert vantages.newest({"north": EVER}, {"south": 1200.0}, 2000.0) == {"north": 1000.0}
    back = vantages.newest({"north": EVER, "south": EVER}, {"south": 1200.0}, 9000.0)
    assert back == {"north": 1000.0, "south": 9000.0}


def test_a_vantage_is_expected_while_it_has_something_to_probe() -> None:
    """A vantage is not shown before the first day of its links, after the last, or on days without a required link."""
    vantages = VantageWatch()
    expected = {"north": frozenset({(100.0, 200.0), (300.0, 400.0)})}
    assert [vantages.newest(expected, {}, now) for now in (99.0, 100.0, 199.0, 200.0, 300.0)] == [
        {},
        {"north": 100.0},
        {"north": 100.0},
        {},
        {"north": 300.0},
    ]


def test_rows_that_count_move_the_newest_slot(register: Register) -> None:
    """The newest slot of each vantage is kept in any order. Rows that do not count have no effect."""
    scoring = Scoring(
        CompiledRegister.of(register),
        LoadedState(None, Evidence(Calendar.of(register.policy)), ()),
        StreamPosition("M", "", 0),
    )
    stored = EPOCH + 10 * SLOT + 1.0
    for vantage, slot in (("north", 9), ("north", 8), ("south", 7)):
        scoring.take(measured(vantage, slot), stored=stored, sequence=1)
    scoring.take(measured("south", 40), stored=stored, sequence=2)  # in the future
    scoring.take(measured("south", 9, off=7), stored=stored, sequence=3)  # in no slot
    assert scoring.newest_slots == {"north": EPOCH + 9.0 * SLOT, "south": EPOCH + 7.0 * SLOT}
