"""However probers come and go, each target has one owner, only the moving prober's share moves, and no slot is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.core.model.measurement import Target
from services.prober.scheduling.rendezvous import Rendezvous, Share
from services.prober.scheduling.schedule import Launch, Schedule, ScheduleEntry

SLOT = 60
ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
probers = st.sets(ids, min_size=1, max_size=8)
targets = st.sets(st.tuples(ids, st.booleans()), max_size=60)
begins = st.integers(0, 6).map(lambda slot: slot * SLOT)


def entries(chosen: set[tuple[str, bool]]) -> list[ScheduleEntry]:
    return [ScheduleEntry(Target(name, endpoint), 5.0) for name, endpoint in chosen]


def owned(of: Rendezvous, chosen: set[str]) -> dict[str, frozenset[Target]]:
    """Return each prober's own targets when all have been probing for long."""
    return {one: of.assign(one, 0, dict.fromkeys(chosen - {one}, 0), SLOT).own for one in chosen}


@given(chosen=probers, made=targets, newcomer=ids)
def test_joining_or_dying_moves_the_own_share_only(
    chosen: set[str], made: set[tuple[str, bool]], newcomer: str
) -> None:
    """A new prober takes its targets from the others and changes nothing else; the same holds when it leaves."""
    of = Rendezvous(entries(made))
    without, beside = owned(of, chosen - {newcomer}), owned(of, chosen | {newcomer})
    taken = beside.pop(newcomer)
    assert without.keys() == beside.keys()
    for prober, had in without.items():
        assert beside[prober] == had - taken
    everything = frozenset(entry.target for entry in entries(made))
    for split in (without, {**beside, newcomer: taken}):
        if split:
            assert frozenset().union(*split.values()) == everything
            assert sum(map(len, split.values())) == len(everything)


@given(since=st.dictionaries(ids, begins, min_size=1, max_size=8), made=targets, now=begins)
def test_every_slot_has_a_prober_from_the_first_share_on(
    since: dict[str, int], made: set[tuple[str, bool]], now: int
) -> None:
    """Whatever the first slots of their shares, each slot of each target belongs to exactly one prober once one has begun."""
    of = Rendezvous(entries(made))
    split: list[Share] = [
        of.assign(one, first, {peer: at for peer, at in since.items() if peer != one}, now)
        for one, first in since.items()
    ]
    for slot in range(now, 8 * SLOT, SLOT):
        probed = [entry.target for share in split for entry in share.entries if entry.covers(slot)]
        assert len(probed) == len(set(probed))
        if min(since.values()) <= slot:
            assert set(probed) == {entry.target for entry in entries(made)}


@given(
    ahead=st.integers(-2 * SLOT, 2 * SLOT),
    joins=st.integers(2 * SLOT, 4 * SLOT),
    delay=st.sampled_from([0, 1, 5, 50]),
    leaves=st.booleans(),
)
def test_no_slot_is_lost_to_a_new_prober_with_a_wrong_clock(ahead: int, joins: int, delay: int, leaves: bool) -> None:
    """However far the new prober's clock is off, whenever it joins and however late its heartbeat arrives, one of the
    two launches each slot of each target in time. When it leaves, the other one does so again.
    """
    made = entries({(f"link-{number}", False) for number in range(20)})
    of, old, new = Rendezvous(made), Schedule(), Schedule()
    old.replace(of.assign("old", 0, {}, 0).entries, SLOT, 0.0)
    launches: list[Launch] = []
    since = ((joins + ahead) // SLOT + 1) * SLOT
    gone = joins + 3 * SLOT if leaves else 12 * SLOT
    for now in range(10 * SLOT):
        there = now + ahead
        if now == joins:
            slot_start = there // SLOT * SLOT
            new.replace(of.assign("new", since, {"old": 0}, slot_start).entries, SLOT, there)
        if now == joins + delay:
            old.replace(of.assign("old", 0, {"new": since}, now // SLOT * SLOT).entries, SLOT, now)
        if now == gone:
            old.replace(of.assign("old", 0, {}, now // SLOT * SLOT).entries, SLOT, now)
        launches += [launch for launch in old.take(now) if launch.latest >= now]
        if joins <= now < gone:
            launches += [launch for launch in new.take(there) if launch.latest >= there]
    launched = {(launch.target, launch.slot_start) for launch in launches}
    # A prober that leaves with a slow clock may leave a slot that is past for the other, which cannot probe it any
    # more.
    excused = {now // SLOT * SLOT for now in range(gone + ahead, gone)} if ahead < 0 else set()
    for slot in range(0, 7 * SLOT, SLOT):
        if slot not in excused:
            assert {(entry.target, slot) for entry in made} <= launched
