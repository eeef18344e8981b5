"""Evidence is counted at one moment while more is ingested, and days are closed some targets at a time."""

from __future__ import annotations

import random
from dataclasses import fields
from datetime import timedelta

import numpy as np
import pytest

from services.indicator.calendar import Calendar
from services.indicator.cells import SlotCells, closed_days
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.intervals.history import HistorySums
from services.indicator.register_arrays import RegisterArrays
from tests.support.cases.api.indicator_answers import register_of
from tests.support.cases.registers.window import FIRST, a_case, a_link, new_evidence, row, take

CASE = a_case(a_link("one"), a_link("two"), a_link("three"), hours=60)


def rows(hours, seed):
    chance = random.Random(seed)
    return [
        row(link, hour, chance.choice([0, 3, 5, 5, 5]), vantage=vantage)
        for hour in hours
        for link in ("one", "two", "three")
        for vantage in ("north", "south")
        if chance.random() < 0.9
    ]


def assert_same(one, other):
    """Assert that all columns of both snapshots are equal to the last bit."""
    for mine, theirs in ((one.columns, other.columns), (one.links, other.links)):
        assert mine.keys() == theirs.keys()
        for key in mine:
            for field in fields(mine[key]):
                values = getattr(mine[key], field.name), getattr(theirs[key], field.name)
                if isinstance(values[0], np.ndarray):
                    assert np.array_equal(*values, equal_nan=values[0].dtype.kind == "f"), (key, field.name)


def evidence_and_frame():
    evidence, arrays = new_evidence(CASE), RegisterArrays.of(register_of(CASE.register))
    take(evidence, rows(range(60), 1))
    list(evidence.closing(FIRST + 24))
    return evidence, arrays


def test_an_index_of_what_was_counted_is_that_of_the_moment() -> None:
    """Measurements that are ingested after counting do not change the index of the counts."""
    evidence, arrays = evidence_and_frame()
    expected = compute_indicators(FrozenEvidence.of(arrays, evidence, CASE.end_slot))
    counted = FrozenEvidence.of(arrays, evidence, CASE.end_slot)
    take(evidence, rows(range(30, 60), 2))
    list(evidence.closing(FIRST + 48))
    assert_same(compute_indicators(counted), expected)
    late = compute_indicators(FrozenEvidence.of(arrays, evidence, CASE.end_slot))
    assert (late.links[7].counts != expected.links[7].counts).any(), "the rows taken in must matter"


@pytest.mark.parametrize("targets", [1, 2, 100])
def test_a_day_closed_in_parts_says_the_same(monkeypatch: pytest.MonkeyPatch, targets: int) -> None:
    """However many targets are packed at a time, a closed day keeps its measurements and closes with its last part."""
    whole, arrays = evidence_and_frame()
    monkeypatch.setattr(closed_days, "CLOSED_TARGETS", targets)
    evidence, _ = evidence_and_frame()
    assert_same(
        compute_indicators(FrozenEvidence.of(arrays, evidence, CASE.end_slot)),
        compute_indicators(FrozenEvidence.of(arrays, whole, CASE.end_slot)),
    )
    closing = evidence.closing(FIRST + 48)
    day = evidence.calendar.day_of(FIRST) + timedelta(days=1)
    assert next(closing) == day
    assert evidence.closed_before == FIRST + 24
    before = evidence.verdicts(arrays, range(FIRST, FIRST + 60))
    assert set(closing) == {day}
    assert evidence.closed_before == FIRST + 48
    assert np.array_equal(evidence.verdicts(arrays, range(FIRST, FIRST + 60)), before)


def test_nothing_heard_of_closes_nothing() -> None:
    """Without slots there is no day to close."""
    assert list(Evidence(Calendar.of(register_of(CASE.register).policy)).closing(FIRST + 48)) == []


@pytest.mark.parametrize("hours", [5, 60, 24 * 6])
@pytest.mark.parametrize("links", [["one"], ["one", "two", "three", "four"], ["one", "three", "four"]])
def test_a_memory_outlives_a_register(hours, links) -> None:
    """Sums cached under one register give the same result under a larger or smaller one as no cache."""
    kept, evidence = HistorySums(), new_evidence(CASE)
    take(evidence, rows(range(hours), 1))
    end_slot = FIRST + hours
    compute_indicators(
        FrozenEvidence.of(RegisterArrays.of(register_of(CASE.register)), evidence, end_slot), history=kept
    )
    arrays = RegisterArrays.of(register_of(a_case(*map(a_link, links)).register))
    fresh = compute_indicators(FrozenEvidence.of(arrays, evidence, end_slot))
    assert_same(compute_indicators(FrozenEvidence.of(arrays, evidence, end_slot), history=kept), fresh)


def test_the_latest_slot_is_told_while_others_are_put_away() -> None:
    """Slots may be put away by one thread while another asks for the latest."""
    cells = SlotCells()
    for slot in range(100):
        cells[slot] = np.zeros((0, 0), dtype=np.int64)
    seen = []
    for slot in cells:
        seen.append(slot)
        cells.put_away({slot: lambda: np.zeros((0, 0), dtype=np.int64)})
    assert set(seen) == set(range(100))
