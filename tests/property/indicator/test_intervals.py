"""Published intervals equal those of a computation slot by slot (docs/method.md §6)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.indicator import IndicatorKind
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.index.snapshot import Snapshot
from services.indicator.intervals.history import HistorySums
from services.indicator.register_arrays import RegisterArrays
from tests.support.cases.api.indicator_answers import evidence_of, register_of
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import index as oracle
from tests.support.oracles.brute_intervals import Brute


def arrays_of(case: Case, bus: str | None, threshold: float) -> RegisterArrays:
    """Return the register of a case whose policy names this bus and publishes from this known share on."""
    register = register_of(case.register)
    return RegisterArrays.of(replace(register, policy=replace(register.policy, bus=bus, publish_threshold=threshold)))


def compute(case: Case, arrays: RegisterArrays) -> Snapshot:
    """Compute the snapshot of a case."""
    return compute_indicators(FrozenEvidence.of(arrays, evidence_of(case), case.end_slot, [case.days]))


@given(cases(), st.sampled_from([None, "portal"]))
def test_intervals_are_those_of_the_text_slot_by_slot(case, bus) -> None:
    """Every published interval equals one computed from verdicts alone, without arrays, merged days or caches."""
    found = compute(case, arrays_of(case, bus, 0.0))
    if not oracle.window(case.register, case.days, case.end_slot):
        return
    brute = Brute(case, bus)
    for kind in IndicatorKind:
        for row in found.rows(kind, case.days):
            assert (row.interval is None) == (row.point is None or kind is IndicatorKind.ENDPOINT)
            if row.interval is not None and row.point is not None:
                expected = brute.interval(kind.label, row.id, row.point)
                got = (row.interval.low, row.interval.high)
                assert row.interval.outages == brute.outages(kind.label, row.id), (kind, row.id)
                assert got == pytest.approx(expected, abs=3e-5, rel=3e-4), (kind, row.id, row.point)


@given(cases(), st.sampled_from([None, "portal"]))
def test_an_interval_holds_its_point(case, bus) -> None:
    """Every point but that of an endpoint has an interval, with 0 ≤ low ≤ point ≤ high ≤ 1 at the level of .95."""
    found = compute(case, arrays_of(case, bus, 0.8))
    for kind in IndicatorKind:
        for row in found.rows(kind, case.days):
            assert (row.interval is None) == (row.point is None or kind is IndicatorKind.ENDPOINT)
            if row.interval is not None and row.point is not None:
                assert 0.0 <= row.interval.low <= row.point <= row.interval.high <= 1.0
                assert row.interval.level == 0.95


@settings(max_examples=30)
@given(cases(), st.sampled_from([None, "portal"]))
def test_a_memory_changes_nothing(case, bus) -> None:
    """With a cache, closed days and calls as time goes on, every bit equals a computation at once without a cache."""
    arrays, kept = arrays_of(case, bus, 0.0), HistorySums()
    growing = evidence_of(case)
    slots = 86400 // case.register["slot_seconds"]
    for end_slot in range(case.end_slot - 3 * slots, case.end_slot + 1, max(1, slots // 2)):
        windows = [case.days, 2 * case.days]
        list(growing.closing(end_slot - slots))
        found = compute_indicators(FrozenEvidence.of(arrays, growing, end_slot, windows), history=kept)
        fresh = compute_indicators(FrozenEvidence.of(arrays, evidence_of(case), end_slot, windows))
        for key, columns in found.columns.items():
            for name in ("interval_low", "interval_high"):
                here, there = getattr(columns, name), getattr(fresh.columns[key], name)
                assert np.array_equal(here, there, equal_nan=True)
