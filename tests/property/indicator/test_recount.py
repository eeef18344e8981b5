"""Measurements judged again under other limits (docs/method.md §7.6)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Outcome
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.measured_days import measured_day
from services.indicator.sensitivity.limits import FACTORS, LinkLimits, mark_day
from services.indicator.sensitivity.recount import by_day
from tests.support.cases.indicator import Case, cases
from tests.support.cases.sensitivity import PHI_S, TAU_MS, alike, counted, limited, measured


def edited(batches: list[MeasurementColumns], register: Register, tau: float, phi: float) -> list[MeasurementColumns]:
    """Return the same measurements, each judged by hand under other limits."""
    result = []
    for batch in batches:
        outcomes = []
        assert batch.latency is not None
        assert batch.data_age is not None
        rows = zip(batch.target, batch.outcome, batch.latency, batch.data_age, strict=True)
        for target, outcome, latency, age in rows:
            limit = register.links[batch.targets[target].id].max_age_s
            if outcome < Outcome.LATE:
                outcomes.append(outcome)
                continue
            late, stale = outcome == Outcome.LATE, outcome == Outcome.STALE
            if latency >= 0 and tau != 1:
                late = latency / 1000 > tau * TAU_MS
            if age >= 0 and limit is not None and (phi != 1 or outcome == Outcome.LATE):
                stale = age / 1e6 > phi * limit
            outcomes.append(Outcome.LATE if late else Outcome.STALE if stale else Outcome.OK)
        result.append(replace(batch, outcome=np.array(outcomes, np.uint8)))
    return result


@settings(max_examples=15)
@given(cases())
def test_switches_of_limits_equal_a_score_of_edited_measurements(case: Case) -> None:
    """Each pair of factors gives the counts of the live code on measurements judged again one by one."""
    register = limited(case)
    batches = measured(case, register)
    arrays, found = counted(case, register, batches, (case.days,))
    for tau, phi in product(FACTORS, FACTORS):
        evidence = Evidence(Calendar.of(register.policy))
        for batch in edited(batches, register, tau, phi):
            evidence.take(batch)
        wanted, got = evidence.window(arrays, case.days, case.end_slot), found[tau, phi, case.days]
        for name in ("slots", "counts", "service_slots", "up", "down"):
            assert getattr(got, name).tolist() == getattr(wanted, name).tolist(), (tau, phi, name)


@settings(max_examples=15)
@given(cases())
def test_a_marked_day_is_a_measured_day(case: Case) -> None:
    """With the limits unchanged, every cell of every day is as it was judged."""
    register = limited(case)
    calendar, limits = Calendar.of(register.policy), LinkLimits.of(register)
    of_day = by_day(measured(case, register, again=0.5), calendar)
    for day, _ in calendar.days(range(calendar.epoch_slot, case.end_slot)):
        marked, wanted = mark_day(calendar, day, of_day(day), limits).under(), measured_day(calendar, day, of_day(day))
        assert (marked.targets, marked.vantages) == (wanted.targets, wanted.vantages)
        assert np.array_equal(marked.stages, wanted.stages)


JUDGED = [
    # outcome, latency in ms, age in s, factors of τ and φ, what it becomes
    (Outcome.LATE, 2500, 100, 2, 1, Outcome.OK),
    (Outcome.LATE, 2500, 4000, 2, 1, Outcome.STALE),
    (Outcome.LATE, 2500, 4000, 2, 2, Outcome.OK),
    (Outcome.LATE, 2500, None, 2, 1, Outcome.OK),
    (Outcome.LATE, None, 100, 2, 1, Outcome.LATE),
    (Outcome.LATE, 4001, 100, 2, 1, Outcome.LATE),
    (Outcome.LATE, 4000, 100, 2, 1, Outcome.OK),
    (Outcome.LATE, 100, 100, 1, 1, Outcome.LATE),
    (Outcome.STALE, 100, 7200, 1, 2, Outcome.OK),
    (Outcome.STALE, 100, 7201, 1, 2, Outcome.STALE),
    (Outcome.STALE, 1001, 7200, 0.5, 2, Outcome.LATE),
    (Outcome.STALE, 100, None, 1, 2, Outcome.STALE),
    (Outcome.STALE, 100, 100, 1, 1, Outcome.STALE),
    (Outcome.OK, 1001, 100, 0.5, 1, Outcome.LATE),
    (Outcome.OK, 1000, 1801, 0.5, 0.5, Outcome.STALE),
    (Outcome.OK, 1000, None, 0.5, 0.5, Outcome.OK),
    (Outcome.OK, None, None, 0.5, 0.5, Outcome.OK),
    (Outcome.INVALID, 100, 100, 2, 2, Outcome.INVALID),
    (Outcome.NOT_ANSWERED, None, None, 2, 2, Outcome.NOT_ANSWERED),
    (Outcome.NOT_CONNECTED, None, None, 2, 2, Outcome.NOT_CONNECTED),
    (Outcome.UNKNOWN, 100, 100, 2, 2, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("outcome", "latency", "age", "tau", "phi", "wanted"), JUDGED)
def test_judged_anew(
    outcome: Outcome, latency: int | None, age: int | None, tau: float, phi: float, wanted: Outcome
) -> None:
    """Only right answers are judged again, lateness before age; unknown latencies and ages keep the judgement."""
    case = alike()
    register = limited(case)
    limits, calendar = LinkLimits.of(register), Calendar.of(register.policy)
    _, ages = limits.among((Target("a0-a2"), Target("a0-a1"), Target("a0-a2", endpoint=True)))
    assert ages.tolist() == [PHI_S * 1_000_000, -1, -1]
    start = calendar.start_of(calendar.epoch_slot)
    columns = MeasurementColumns(
        vantage="north",
        targets=(Target("a0-a2"),),
        target=np.array([0]),
        slot_start=np.array([start]),
        time=np.array([start * 1_000_000 + 5]),
        outcome=np.array([outcome], np.uint8),
        reason=np.array([next(reason for reason, of in OUTCOME_OF.items() if of is outcome)], np.uint8),
        latency=np.array([-1 if latency is None else latency * 1000]),
        data_age=np.array([-1 if age is None else age * 1_000_000]),
    )
    day = calendar.day_of(calendar.epoch_slot)
    found = mark_day(calendar, day, [columns], limits).under(latency=tau, age=phi)
    assert found.stages[found.stages >= 0].tolist() == ([] if wanted.stage is None else [wanted.stage])
    with pytest.raises(ValueError, match="without their latencies and ages"):
        mark_day(calendar, day, [replace(columns, latency=None)], limits)
