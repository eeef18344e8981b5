"""The schedule of a prober is right by a simulated clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from services.core.model.measurement import Target
from services.prober.scheduling.schedule import Launch, Schedule, ScheduleEntry, target_phase


def entries(count: int, timeout: float = 5.0, prefix: str = "link") -> list[ScheduleEntry]:
    return [ScheduleEntry(Target(f"{prefix}-{number}"), timeout) for number in range(count)]


def run(schedule: Schedule, start: float, end: float) -> list[tuple[float, Launch]]:
    """Let the clock jump from launch to launch, as an event loop does."""
    launched, now = [], start
    while now < end:
        launched += [(now, launch) for launch in schedule.take(now)]
        due = schedule.next_due(now)
        assert due is not None
        now = max(due, now)
    return launched


def test_a_simulated_day_has_no_drift() -> None:
    """Over a day every slot of every target is launched exactly once, always at the same phase of its slot."""
    schedule = Schedule()
    schedule.replace(entries(40), 300, 0.0)
    launched = run(schedule, 0.0, 86_400.0)
    counts = Counter((launch.target, launch.slot_start) for _, launch in launched)
    first_slot = {key for key in counts if key[1] == 0}
    assert set(counts.values()) == {1}
    assert len(counts) == 40 * 288
    assert len(first_slot) == 40
    phases: dict[Target, set[float]] = {}
    for now, launch in launched:
        if launch.slot_start:
            assert launch.due == now
            phases.setdefault(launch.target, set()).add(round(launch.due - launch.slot_start, 6))
    assert all(len(seen) == 1 for seen in phases.values())


def test_33_phases_are_spread_evenly_and_fit() -> None:
    """Each tenth of a slot gets about a tenth of 10,000 targets, and every timeout fits behind its phase."""
    schedule = Schedule()
    schedule.replace(entries(10_000, timeout=100.0), 300, 0.0)
    launches = [launch for _, launch in run(schedule, 300.0, 599.0) if launch.slot_start == 300]
    tenths = Counter(int((launch.due - 300) / 20) for launch in launches)
    assert len(launches) == 10_000
    assert all(900 < tenths[tenth] < 1130 for tenth in range(9))
    assert all(launch.due < launch.latest for launch in launches)


@pytest.mark.parametrize("count", [20, 2000, 50_000])
def test_33_few_launches_share_a_moment(count: int) -> None:
    """At most three launches share a moment, and none is more than 25 ms before its phase, or after it."""
    schedule = Schedule()
    schedule.replace(entries(count, timeout=4.0), 10, 0.0)
    launches = [launch for _, launch in run(schedule, 10.0, 20.0) if launch.slot_start == 10]
    early = [target_phase(launch.target) * 6 * 0.95 - (launch.due - 10) for launch in launches]
    moments = Counter(launch.due for launch in launches)
    assert len(launches) == count
    assert -1e-6 < min(early) <= max(early) < 0.0251
    assert max(moments.values()) <= 3
    assert len(moments) < 0.36 * count or count < 2000


def test_launches_can_be_taken_a_few_at_a_time() -> None:
    """Due launches that were not taken yet are taken later, once and in the same order."""
    schedules = Schedule(), Schedule()
    for schedule in schedules:
        schedule.replace(entries(50), 300, 0.0)
    whole = schedules[0].take(299.0)
    parts = [schedules[1].take(299.0, 20) for _ in range(4)]
    assert [len(part) for part in parts] == [20, 20, 10, 0]
    assert [launch.target for part in parts for launch in part] == [launch.target for launch in whole]


def test_33_the_phase_is_the_targets_own() -> None:
    """A phase depends on the target alone. A link and an endpoint of one id differ."""
    assert target_phase(Target("a")) == target_phase(Target("a"))
    assert target_phase(Target("a")) != target_phase(Target("a", endpoint=True))


def test_taken_over_in_the_middle_of_a_slot() -> None:
    """Targets whose phase has passed start within half a second if their timeout fits, and not all at once."""
    schedule = Schedule()
    schedule.replace(entries(100, timeout=10.0), 300, 270.0)
    launched = [launch for _, launch in run(schedule, 270.0, 300.0) if launch.slot_start == 0]
    early = [launch for launch in launched if target_phase(launch.target) * 290 * 0.95 < 270.0]
    assert len(launched) == 100
    assert max(launch.due for launch in early) <= 270.5
    assert len({round(launch.due, 3) for launch in early}) > 50


@pytest.mark.parametrize(("now", "last"), [(100.0, 117.6), (255.0, 270.0)])
def test_many_taken_over_start_as_slowly_as_the_slot_allows(now: float, last: float) -> None:
    """Many new targets start 200 a second if they fit, and otherwise over half the rest of the slot."""
    schedule = Schedule()
    schedule.replace(entries(10_000, timeout=0.0), 300, now)
    overdue = [launch.due - now for launch in schedule.take(300.0) if target_phase(launch.target) * 285 < now]
    assert len(overdue) == pytest.approx(10_000 * now / 285, rel=0.02)
    assert max(overdue) == pytest.approx(last - now, rel=0.02)
    assert sorted(overdue)[len(overdue) // 2] == pytest.approx((last - now) / 2, rel=0.02)


def test_taken_over_too_late() -> None:
    """A new target that no longer fits into the slot is not launched in it."""
    schedule = Schedule()
    schedule.replace(entries(50, timeout=10.0), 300, 295.0)
    assert schedule.take(299.9) == []
    assert len(run(schedule, 300.0, 599.0)) == 50


def test_too_many_taken_over_at_the_end() -> None:
    """If the rest of a slot is too short for all new targets, some are launched in time and the others not at all."""
    schedule = Schedule()
    schedule.replace(entries(2000, timeout=10.0), 300, 274.5)
    launched = [launch for _, launch in run(schedule, 274.5, 299.0) if launch.slot_start == 0]
    assert 0 < len(launched) < 2000
    assert max(launch.due for launch in launched) < 276.0


@pytest.mark.parametrize("change_at", [0.0, 60.0, 150.0, 299.0])
def test_38_a_change_loses_and_doubles_no_slot(change_at: float) -> None:
    """If the register changes in mid-slot, every slot of a target that stays is launched exactly once."""
    schedule = Schedule()
    schedule.replace(entries(100), 300, 0.0)
    before = run(schedule, 0.0, 300.0 + change_at)
    schedule.replace(entries(100) + entries(20, prefix="new"), 300, 300.0 + change_at)
    after = run(schedule, 300.0 + change_at, 900.0)
    counts = Counter((launch.target, launch.slot_start) for _, launch in before + after if launch.slot_start <= 600)
    stayed = {key: count for key, count in counts.items() if key[0].id.startswith("link")}
    assert set(stayed.values()) == {1}
    assert len(stayed) == 300
    assert max(counts.values()) == 1


@pytest.mark.parametrize("change_at", [2.3, 2.9, 3.0, 3.05])
def test_38_launches_due_while_the_register_changed_start_in_time(change_at: float) -> None:
    """Launches that fell due while a new register was read start at once, not by a timer that would be too late."""
    schedule = Schedule()
    schedule.replace(entries(300, timeout=0.9), 2, 0.0)
    before = run(schedule, 0.0, change_at - 0.02)  # the change itself takes a moment
    schedule.replace(entries(300, timeout=0.9), 2, change_at)
    now, after = change_at, []
    while now < 4.0:
        after += [(now, launch) for launch in schedule.take(now)]
        now += 0.003  # timers come late
    in_slot = [(at, launch) for at, launch in before + after if launch.slot_start == 2]
    assert len({launch.target for _, launch in in_slot}) == len(in_slot) == 300
    assert all(at <= launch.latest for at, launch in in_slot)


def test_38_a_longer_timeout_that_no_longer_fits_is_accounted_for() -> None:
    """A waiting target that no longer fits after a change is still launched, too late, so that it is shed."""
    schedule = Schedule()
    schedule.replace(entries(100, timeout=5.0), 300, 0.0)
    done = {launch.target for _, launch in run(schedule, 0.0, 220.0)}
    schedule.replace(entries(100, timeout=140.0), 300, 220.0)
    rest = [launch for launch in schedule.take(299.0) if launch.slot_start == 0]
    assert {launch.target for launch in rest} | done == {entry.target for entry in entries(100)}
    assert not {launch.target for launch in rest} & done
    assert all(launch.due > launch.latest for launch in rest)


def test_missed_launches_are_returned_after_a_stall() -> None:
    """After a stall of half a slot the missed launches are returned, too late to be probed."""
    schedule = Schedule()
    schedule.replace(entries(100), 300, 0.0)
    run(schedule, 0.0, 400.0)
    missed = schedule.take(598.0)
    assert missed
    assert all(launch.slot_start == 300 for launch in missed)
    assert all(launch.latest < 598.0 for launch in missed)


def test_a_leap_of_the_clock_goes_on_with_the_present() -> None:
    """After hours of sleep, and after the clock was set back, the schedule continues with the current slot."""
    schedule = Schedule()
    schedule.replace(entries(10), 300, 0.0)
    run(schedule, 0.0, 300.0)
    assert {launch.slot_start for _, launch in run(schedule, 36_000.0, 36_300.0)} >= {36_000}
    assert {launch.slot_start for _, launch in run(schedule, 9_000.0, 9_300.0)} == {9_000}


def test_33_slots_leapt_over_are_counted() -> None:
    """After a sleep of ten slots the schedule skips and counts them. Without a sleep it skips none."""
    schedule = Schedule()
    schedule.replace(entries(10), 300, 0.0)
    run(schedule, 0.0, 900.0)
    assert schedule.leapt == 0
    schedule.take(900.0 + 10 * 300.0)
    assert schedule.leapt == 10
    run(schedule, 600.0, 900.0)  # the clock is set back, so no slot is skipped
    assert schedule.leapt == 10


def test_a_target_handed_over_is_launched_until_its_last_slot() -> None:
    """A target that a new prober takes from the next slot on is launched once in this slot, and not in the next."""
    schedule = Schedule()
    schedule.replace(entries(50), 300, 300.0)
    before = run(schedule, 300.0, 400.0)
    schedule.replace([replace(entry, active_until=600.0) for entry in entries(50)], 300, 400.0)
    assert 0 < len(before) < 50
    launched = Counter((launch.target, launch.slot_start) for _, launch in before + run(schedule, 400.0, 1000.0))
    assert launched == Counter((entry.target, 300) for entry in entries(50))


def test_a_target_expected_for_the_next_slot_and_needed_now_is_taken_over() -> None:
    """If the other prober dies meanwhile, the target is launched in this slot at once if it fits, and otherwise not."""
    schedule = Schedule()
    schedule.replace([replace(entry, active_from=600.0) for entry in entries(200, timeout=10.0)], 300, 400.0)
    assert schedule.take(500.0) == []
    schedule.replace(entries(200, timeout=10.0), 300, 590.5)
    assert [launch for launch in schedule.take(599.0) if launch.slot_start == 300] == []
    schedule.replace([replace(entry, active_from=900.0) for entry in entries(200, timeout=10.0)], 300, 601.0)
    schedule.replace(entries(200, timeout=10.0), 300, 800.0)
    launched = [launch for _, launch in run(schedule, 800.0, 900.0) if launch.slot_start == 600]
    assert len({launch.target for launch in launched}) == len(launched) == 200
    assert len({round(launch.due, 3) for launch in launched if launch.due < 800.6}) > 100


def test_targets_of_some_days_only() -> None:
    """A target is launched in the slots that start while it is active."""
    schedule = Schedule()
    schedule.replace([ScheduleEntry(Target("a"), 5.0, active_from=600.0, active_until=1200.0)], 300, 0.0)
    assert [launch.slot_start for _, launch in run(schedule, 0.0, 3000.0)] == [600, 900]


def test_nothing_to_probe() -> None:
    """Without targets nothing is due."""
    schedule = Schedule()
    schedule.replace([], 300, 0.0)
    assert schedule.next_due(0.0) is None
    assert schedule.take(1000.0) == []
