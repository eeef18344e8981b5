"""Evidence of a window of days is ingested, closed, dropped, saved and counted."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.indicator.cells import DayState
from services.indicator.evidence import Evidence
from tests.support.cases.api.indicator_answers import (
    assert_same,
    batches,
    measured,
    snapshot,
    truth_of,
)
from tests.support.cases.registers.window import FIRST, HOUR, MONDAY, a_case, a_link, arrays_of, new_evidence, row, take


def test_rows_are_sorted_into_accepted_late_and_misplaced():
    """Rows before the epoch or off the grid of slots are misplaced, rows of closed days late. Neither counts."""
    case = a_case(a_link("l"))
    evidence = new_evidence(case)
    take(evidence, [row("l", 0, 5), row("l", 25, 5)])
    list(evidence.closing(FIRST + 24))
    (batch,) = batches([row("l", hour, 0) for hour in (-1, 0, 23, 24, 25, 26)], HOUR)
    batch.slot_start[5] += 60
    taken = evidence.take(batch)
    assert (taken.accepted, taken.late, taken.misplaced) == (2, 2, 2)
    assert {slot: columns.tolist() for slot, columns in taken.changed.items()} == {FIRST + 24: [0], FIRST + 25: [0]}
    assert not evidence.take(batch).changed
    assert evidence.closed_before == FIRST + 24
    assert evidence.last_slot == FIRST + 25


def test_a_day_closes_when_all_of_it_is_over():
    """Closing up to the last slot of a day leaves the day open, and rows for it are accepted."""
    case = a_case(a_link("l"))
    evidence = new_evidence(case)
    take(evidence, [row("l", 0, 5)])
    list(evidence.closing(FIRST + 23))
    assert (evidence.closed_before, take(evidence, [row("l", 0, 4, "south")])[0].accepted) == (FIRST, 1)


def test_a_window_may_end_within_a_closed_day():
    """A part of a closed day is counted from its stages, whatever was counted before."""
    case = a_case(a_link("l"))
    case.measurements = [row("l", hour, hour % 6) for hour in range(48)]
    evidence = new_evidence(case)
    take(evidence, case.measurements)
    list(evidence.closing(FIRST + 48))
    for end in (48, 40, 24, 7, 0, 48):
        case.end_slot = FIRST + end
        assert_same(measured(snapshot(case, evidence)), truth_of(case))


def test_an_earlier_end_is_counted_afresh_while_slots_are_open():
    """Windows may end anywhere in open days, in any order of calls."""
    case = a_case(a_link("l"))
    evidence = new_evidence(case)
    take(evidence, [row("l", hour, 5) for hour in range(48)])
    arrays = arrays_of(case)
    for end in (48, 10, 30, 10, 48, 0):
        found = evidence.window(arrays, 7, FIRST + end)
        assert (found.slots.tolist(), found.counts[5].tolist()) == ([end], [end])


def test_the_window_moves_on_past_days_that_are_closed():
    """As days close and the window moves, the cached sum of closed days follows it."""
    case = a_case(a_link("l"), hours=24 * 12)
    rows = [row("l", hour, 5 if hour % 5 else 2) for hour in range(24 * 12)]
    evidence, arrays = new_evidence(case), arrays_of(case)
    for hour in range(24 * 12):
        take(evidence, [rows[hour]])
        list(evidence.closing(FIRST + hour - 30))
        evidence.drop(detail_before=FIRST + hour - 48, days_before=MONDAY + timedelta(days=hour // 24 - 8))
        start = max(0, (hour + 1) // 24 - 3) * 24
        found = evidence.window(arrays, 3, FIRST + hour + 1)
        held = [one[5] for one in rows[start : hour + 1]]
        assert found.counts[:, 0].tolist() == [held.count(stage) for stage in range(6)]
        assert found.slots.tolist() == [len(held)]


def test_dropping_forgets_closed_things_only():
    """Open days and the detail of their slots are never dropped."""
    case = a_case(a_link("l"))
    evidence, arrays = new_evidence(case), arrays_of(case)
    take(evidence, [row("l", hour, 5) for hour in range(48)])
    list(evidence.closing(FIRST + 26))
    slots = evidence.drop(detail_before=FIRST + 40, days_before=date.max)
    assert slots == tuple(range(FIRST, FIRST + 24))
    assert evidence.closed_days == frozenset()
    found = evidence.window(arrays, 7, FIRST + 48)
    assert found.counts[5].tolist() == [24]


def test_detail_of_a_day_whose_file_is_lost_goes_from_the_counts_with_it():
    """Detailed slots of a closed day without its file count until they are dropped, and in no index afterwards."""
    case = a_case(a_link("l"))
    arrays, whole = arrays_of(case), new_evidence(case)
    take(whole, [row("l", hour, 5) for hour in range(72)])
    list(whole.closing(FIRST + 50))
    saved = whole.drain()
    evidence = Evidence.restore(
        whole.calendar,
        targets=saved.targets,
        vantages=saved.vantages,
        slots=saved.slots,
        days=[day for day in saved.days if day.day != MONDAY],
    )
    assert evidence.window(arrays, 7, FIRST + 72).counts[5].tolist() == [72]
    evidence.drop(detail_before=FIRST + 24, days_before=date.min)
    assert evidence.window(arrays, 7, FIRST + 72).counts[5].tolist() == [48]
    assert (evidence.verdicts(arrays, range(FIRST, FIRST + 24)) == -1).all()


@pytest.mark.parametrize("files", range(12))
def test_any_prefix_of_a_save_and_a_replay_give_the_same_state(files):
    """A crash after any number of saved files, and a replay from the manifest on, loses and doubles nothing."""
    case = a_case(a_link("l"), a_link("m"))
    case.measurements = [row(link, hour, (hour * 7) % 6, time=hour) for hour in range(48) for link in ("l", "m")]
    arrays = arrays_of(case)
    whole = new_evidence(case)
    take(whole, case.measurements)
    expected = measured(snapshot(case, whole, arrays))

    evidence = new_evidence(case)
    take(evidence, case.measurements[:70])
    old = evidence.drain()
    take(evidence, case.measurements[70:90])
    list(evidence.closing(FIRST + 33))
    new = evidence.drain()
    assert (len(new.slots), len(new.days)) == (10, 1)
    written = [*new.slots, *new.days][:files]
    slots = {state.slot: state for state in old.slots}
    days = {state.day: state for state in old.days}
    for state in written:
        (days if hasattr(state, "day") else slots)[getattr(state, "day", None) or state.slot] = state
    restored = Evidence.restore(
        evidence.calendar,
        targets=new.targets,
        vantages=new.vantages,
        slots=slots.values(),
        days=days.values(),
    )
    take(restored, case.measurements[70:])
    assert measured(snapshot(case, restored, arrays)) == expected
    list(restored.closing(FIRST + 48))
    assert measured(snapshot(case, restored, arrays)) == expected


def test_drain_offers_each_change_once():
    """A drained change is not offered again until it changes. Replays change nothing."""
    case = a_case(a_link("l"))
    evidence = new_evidence(case)
    take(evidence, [row("l", 0, 5), row("l", 1, 5)])
    assert [state.slot for state in evidence.drain().slots] == [FIRST, FIRST + 1]
    take(evidence, [row("l", 0, 5), row("l", 1, 3, time=-1)])
    assert [state.slot for state in evidence.drain().slots] == [FIRST + 1]
    list(evidence.closing(FIRST + 24))
    changes = evidence.drain()
    assert (changes.slots, [state.day for state in changes.days]) == ((), [MONDAY])
    assert evidence.drain().days == ()
    take(evidence, [row("l", hour, 5) for hour in range(24, 75)])
    list(evidence.closing(FIRST + 71))
    assert [state.day for state in evidence.drain().days] == [MONDAY + timedelta(days=1)]


def test_closed_days_are_counted_ahead_piece_by_piece(monkeypatch):
    """Prepared days are not unpacked again when they are needed, and a day that was dropped meanwhile is skipped."""
    case = a_case(a_link("l"), hours=96)
    evidence, arrays = new_evidence(case), arrays_of(case)
    take(evidence, [row("l", hour, 5) for hour in range(96)])
    list(evidence.closing(FIRST + 72))
    ahead = evidence.prepare(arrays)
    assert next(ahead) == MONDAY
    evidence.drop(detail_before=FIRST, days_before=MONDAY + timedelta(days=2))
    assert set(ahead) == {MONDAY + timedelta(days=2)}
    monkeypatch.delattr(DayState, "pieces")
    assert evidence.window(arrays, 1, FIRST + 72).counts[5].tolist() == [24]


def test_a_day_that_was_not_saved_yet_can_be_reopened():
    """A reopened day is not among the changes to save until it closes again, with the rows that came again."""
    case = a_case(a_link("l"))
    case.measurements = [row("l", hour, 5) for hour in range(24)]
    evidence = new_evidence(case)
    take(evidence, case.measurements)
    list(evidence.closing(FIRST + 24))
    assert evidence.reopen(FIRST) == (MONDAY,)
    assert evidence.drain().days == ()
    take(evidence, case.measurements)
    list(evidence.closing(FIRST + 24))
    assert [state.day for state in evidence.drain().days] == [MONDAY]
    assert_same(measured(snapshot(case, evidence)), truth_of(case))
