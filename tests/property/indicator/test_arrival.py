"""The invariants of docs/method.md §8 on when measurements arrive, and in which days they lie."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts.causes import cause_states, sum_states
from tests.support.cases.api.indicator_answers import (
    assert_same,
    batches,
    by_vantage,
    evidence_of,
    index_of,
    measured,
    register_of,
    snapshot,
    truth_of,
)
from tests.support.cases.indicator import Case, amended, cases
from tests.support.oracles import index as oracle

examples = settings(max_examples=60)


@examples
@given(cases(whole=True), st.sampled_from([0.0, 0.3]))
def test_invariant_04_order_of_slots_means_nothing(case: Case, gap: float) -> None:
    """Putting the window's slots in another order changes nothing."""
    seconds, slots = case.register["slot_seconds"], case.slots
    inside = set(slots)
    case.measurements = [row for row in case.measurements if row[3] in inside and case.rng.random() >= gap]
    place = dict(zip(slots, case.rng.sample(slots, len(slots)), strict=True))
    other = case.copy()
    other.measurements = [
        (*row[:3], place[row[3]], row[4] + (place[row[3]] - row[3]) * seconds * 10**6, row[5])
        for row in case.measurements
    ]
    assert_same(index_of(other), index_of(case))


@examples
@given(cases())
def test_invariant_06_a_window_counted_in_parts_is_the_window(case: Case) -> None:
    """However the window is cut, closed, saved, restored, requested and judged by other registers on the way, the
    result equals that of a single pass bit for bit, and the oracle's.
    """
    registers = [RegisterArrays.of(register_of(register)) for register in (case.register, amended(case), amended(case))]
    whole = measured(snapshot(case, arrays=registers[0]))
    calendar = Calendar.of(register_of(case.register).policy)
    evidence = Evidence(calendar)
    saved = _Disk()
    cuts = sorted(case.rng.choices([*case.slots, case.end_slot], k=4))
    taken = calendar.epoch_slot - 1
    for cut in [*cuts, case.end_slot + 10]:
        part = [row for row in case.measurements if taken <= row[3] < cut]
        for batch in batches(by_vantage(part), case.register["slot_seconds"]):
            evidence.take(batch)
        if case.rng.random() < 0.6:
            evidence.window(case.rng.choice(registers), case.days, case.rng.choice([*case.slots, case.end_slot]))
        if case.rng.random() < 0.7:
            list(evidence.closing(cut))
        if case.rng.random() < 0.5:
            evidence.drop(detail_before=cut, days_before=date.min)
        if case.rng.random() < 0.5:
            evidence = saved.restart(calendar, evidence)
        taken = max(taken, cut)
    found = measured(snapshot(case, evidence, registers[0]))
    assert found == whole
    assert_same(found, truth_of(case))


@settings(max_examples=12)
@given(cases(), st.sampled_from([7, 28, 90]))
def test_days_merge_into_windows_of_a_week_to_a_quarter(case: Case, days: int) -> None:
    """A window of 7, 28 or 90 days equals the oracle's, as days come, close, are saved, dropped and judged by another
    register.
    """
    rng, seconds = case.rng, case.register["slot_seconds"]
    case.days, case.register["epoch"] = days, case.register["epoch"] - 30 * 86400
    first = -(-case.register["epoch"] // seconds)
    last = first + (days + 35) * 86400 // seconds
    links = [(False, link["id"]) for link in case.register["links"]]
    case.measurements = [
        (*target, "north", slot, slot * seconds * 10**6, rng.choice([5, 5, 5, 5, 0, 3, None]))
        for slot in range(first, last)
        for target in links
        if rng.random() < 0.9
    ]
    registers = [RegisterArrays.of(register_of(register)) for register in (case.register, amended(case))]
    calendar = Calendar.of(register_of(case.register).policy)
    evidence, saved = Evidence(calendar), _Disk()
    for start in range(first, last, 7 * 86400 // seconds):
        end = min(start + 7 * 86400 // seconds, last)
        part = [row for row in case.measurements if start <= row[3] < end]
        for batch in batches(by_vantage(part), seconds):
            assert evidence.take(batch).late == 0
        evidence.window(rng.choice(registers), days, end)
        list(evidence.closing(end - 86400 // seconds))
        today = calendar.day_of(end)
        evidence.drop(detail_before=end - 3, days_before=today - timedelta(days=days + 1))
        if rng.random() < 0.3:
            evidence = saved.restart(calendar, evidence)
    case.end_slot = last
    assert_same(measured(snapshot(case, evidence, registers[0])), truth_of(case))


@examples
@given(cases())
def test_days_and_verdicts_are_those_of_the_oracle(case: Case) -> None:
    """The days of a span, by stage and by cause, and its verdicts equal the oracle's, closed or open, cut anywhere."""
    register = register_of(case.register)
    arrays, calendar = RegisterArrays.of(register), Calendar.of(register.policy)
    evidence = evidence_of(case)
    list(evidence.closing(case.rng.choice([*case.slots, case.end_slot])))
    start, stop = sorted(case.rng.choices(range(calendar.epoch_slot, max(calendar.epoch_slot, case.end_slot) + 1), k=2))
    truth = oracle.verdicts(case.register, case.measurements)
    expected = np.full((stop - start, len(arrays.links)), -1, dtype=np.int8)
    for link in case.register["links"]:
        for slot in range(start, stop):
            if oracle.in_force(case.register, link, slot) and oracle.live(case.register, link, slot):
                expected[slot - start, arrays.links.index(link["id"])] = truth.get((False, link["id"], slot), -1)
    for _ in range(2):  # the second time from the cache
        assert (evidence.verdicts(arrays, range(start, stop)) == expected).all()
        at = 0
        for day in evidence.days(arrays, range(start, stop)):
            here = expected[at : at + day.slots]
            midnight = oracle.midnight(case.register, date.fromordinal(day.day))
            assert midnight <= (start + at) * case.register["slot_seconds"]
            assert [day.counts(stage).tolist() for stage in range(6)] == [
                (here == stage).sum(axis=0).tolist() for stage in range(6)
            ]
            causes = sum_states(cause_states(arrays, here, None), 1)  # slots are an hour or longer
            for field in fields(causes):
                assert (getattr(day.causes, field.name) == getattr(causes, field.name)).all(), field.name
            at += day.slots
        assert at == stop - start
        if case.rng.random() < 0.5:
            evidence.window(arrays, case.days, case.end_slot)


@examples
@given(cases(delays=True))
def test_invariant_13_copies_delays_and_order_change_nothing(case: Case) -> None:
    """Duplicated and reordered measurements give bit for bit the same index, also when some were stored too late."""
    arrays, seconds = RegisterArrays.of(register_of(case.register)), case.register["slot_seconds"]
    taken = []
    for delayed, rows in ((False, case.measurements), (True, case.delayed)):
        repeated = rows + case.rng.sample(rows, len(rows) // 2)
        case.rng.shuffle(repeated)
        size = 1 if case.rng.random() < 0.1 else 30  # a batch of each row takes many times as long
        for start in range(0, len(repeated), size):
            taken += batches(by_vantage(repeated[start : start + size]), seconds, delayed=delayed)
    case.rng.shuffle(taken)
    evidence = Evidence(Calendar.of(register_of(case.register).policy))
    half = case.rng.randint(0, len(taken))
    for part in (taken[:half], taken[half:], taken):
        for batch in part:
            evidence.take(batch)
        found = snapshot(case, evidence, arrays)
    assert measured(found) == index_of(case)


@examples
@given(cases())
def test_invariant_13_what_is_stored_too_late_changes_no_known_slot(case: Case) -> None:
    """Measurements that are stored too late, of slots that the same vantage measured in time, change nothing, whatever
    their time and stage, not even where the slots are unknown.
    """
    other = case.copy()
    other.delayed = [
        (
            *row[:4],
            case.rng.choice([None, row[3] * case.register["slot_seconds"] * 10**6]),
            case.rng.choice([None, 0, 5]),
        )
        for row in case.measurements
        if case.rng.random() < 0.7
    ]
    assert index_of(other) == index_of(case)


@examples
@given(cases())
def test_invariant_13_extra_probes_change_nothing(case: Case) -> None:
    """A second probe of the same vantage in a slot that it already knows changes nothing, whatever it finds."""
    seconds = case.register["slot_seconds"]
    extra = [
        (*row[:4], (row[3] + 1) * seconds * 10**6 - case.rng.randrange(1000), case.rng.choice([None, 0, 3, 5]))
        for row in case.measurements
        if row[5] is not None and case.rng.random() < 0.5
    ]
    other = case.copy()
    other.measurements = extra + case.measurements
    assert index_of(other) == index_of(case)


@examples
@given(cases())
def test_a_late_row_is_counted_and_changes_nothing(case: Case) -> None:
    """Rows for a closed day are counted as late and leave the index as it is."""
    arrays = RegisterArrays.of(register_of(case.register))
    evidence = evidence_of(case)
    list(evidence.closing(case.end_slot))
    closed = evidence.closed_before
    before = measured(snapshot(case, evidence, arrays))
    late = [(*row[:5], 0) for row in case.measurements if row[3] < closed]
    seconds, first = case.register["slot_seconds"], evidence.calendar.epoch_slot
    taken = [evidence.take(batch) for batch in batches(late, seconds)]
    assert sum(one.late for one in taken) == sum(row[3] >= first for row in late)
    assert sum(one.misplaced for one in taken) == sum(row[3] < first for row in late)
    assert sum(one.accepted for one in taken) == 0
    assert measured(snapshot(case, evidence, arrays)) == before


class _Disk:
    """Keeps what the evidence gives out to be saved, and restarts from it."""

    def __init__(self) -> None:
        self.slots: dict[int, Any] = {}
        self.days: dict[Any, Any] = {}

    def restart(self, calendar: Calendar, evidence: Evidence) -> Evidence:
        changes = evidence.drain()
        self.slots |= {state.slot: state for state in changes.slots}
        self.days |= {state.day: state for state in changes.days}
        return Evidence.restore(
            calendar,
            targets=changes.targets,
            vantages=changes.vantages,
            slots=self.slots.values(),
            days=self.days.values(),
        )
