"""Whatever happens to a schedule, no slot of a target that stays is lost or doubled."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.measurement import Target
from services.prober.scheduling.schedule import Launch, Schedule, ScheduleEntry

SLOT = 60
SLOTS = 8

entry_sets = st.dictionaries(st.integers(0, 15), st.sampled_from([0.5, 5.0, 29.0]), max_size=12)
changes = st.lists(st.tuples(st.floats(0, SLOT * SLOTS), entry_sets), max_size=6)
# How late the loop wakes up each time.
delays = st.lists(st.floats(0, 20), min_size=1, max_size=20)


def entries(chosen: dict[int, float]) -> list[ScheduleEntry]:
    return [ScheduleEntry(Target(f"link-{number}"), timeout) for number, timeout in chosen.items()]


@given(first=entry_sets, later=changes, late=delays)
@settings(max_examples=200)
def test_38_no_slot_is_lost_or_doubled(
    first: dict[int, float], later: list[tuple[float, dict[int, float]]], late: list[float]
) -> None:
    """Under any register changes and any lateness of the loop, a target present from the start of a slot to its end
    is handed out exactly once for it, and no target more than once.
    """
    schedule = Schedule()
    schedule.replace(entries(first), SLOT, 0.0)
    launches: list[Launch] = []
    pending = sorted(later, key=lambda change: change[0])
    present = [(0.0, set(first))]
    now, turn = 0.0, 0
    while now < SLOT * (SLOTS + 2):
        while pending and pending[0][0] <= now:
            _, chosen = pending.pop(0)
            launches += schedule.take(now)
            schedule.replace(entries(chosen), SLOT, now)
            present.append((now, set(chosen)))
        launches += schedule.take(now)
        due = schedule.next_due(now)
        now = max(now, now + 1 if due is None else min(due, now + 1)) + (late[turn % len(late)] if turn % 7 == 0 else 0)
        turn += 1
    counts = Counter((launch.target.id, launch.slot_start) for launch in launches)
    assert max(counts.values(), default=1) == 1
    for slot in range(0, SLOT * SLOTS, SLOT):
        during = [chosen for at, chosen in present if slot < at < slot + 2 * SLOT]
        at_start = [chosen for at, chosen in present if at <= slot]
        stayed = set.intersection(at_start[-1], *during)
        for number in stayed:
            assert counts[f"link-{number}", slot] == 1
