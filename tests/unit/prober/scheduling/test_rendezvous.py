"""The probers of a vantage divide its targets among themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import FrozenInstanceError

import pytest

from services.core.codec import Heartbeat
from services.core.model.measurement import Target
from services.prober.scheduling.membership import SILENT_SECONDS, Membership, MembershipChange
from services.prober.scheduling.rendezvous import Rendezvous, Share
from services.prober.scheduling.schedule import ScheduleEntry, target_phase

SLOT = 300
ENTRIES = tuple(ScheduleEntry(Target(f"link-{number}"), 5.0) for number in range(3000))
TEN = tuple(f"prober-{number}" for number in range(10))


def shares(probers: tuple[str, ...], since: dict[str, int] | None = None, slot_start: int = SLOT) -> dict[str, Share]:
    """Return the share of each of these probers when all receive each other's heartbeats."""
    of, begins = Rendezvous(ENTRIES), dict.fromkeys(probers, 0) | (since or {})
    return {
        prober: of.assign(
            prober, begins[prober], {peer: begins[peer] for peer in probers if peer != prober}, slot_start=slot_start
        )
        for prober in probers
    }


def probed(share: Share, slot_start: int) -> set[Target]:
    return {entry.target for entry in share.entries if entry.covers(slot_start)}


def peer(
    prober: str = "b",
    started: float = 1.0,
    share_from: int | None = 0,
    version: str = "r1",
    *,
    leaving: bool = False,
) -> Heartbeat:
    return Heartbeat("main", prober, 0.0, started, version, "p1", 9, leaving, share_from)


def sharing(membership: Membership) -> dict[str, int]:
    return membership.active_peers("r1", "p1")


def test_without_peers_everything_is_probed() -> None:
    """Without peers a prober's share is all targets, unchanged."""
    share = Rendezvous(ENTRIES).assign("a", 0, {}, SLOT)
    assert set(share.entries) == set(ENTRIES)
    assert len(share.entries) == len(ENTRIES)
    assert share.own == {entry.target for entry in ENTRIES}


def test_ten_probers_share_evenly() -> None:
    """Every target has exactly one prober, every prober has about a tenth, and phases are spread within a share."""
    of = shares(TEN)
    owners = Counter(target for share in of.values() for target in share.own)
    assert set(owners.values()) == {1}
    assert len(owners) == len(ENTRIES)
    assert all(230 < len(share.own) < 370 for share in of.values())
    halves = Counter(target_phase(target) < 0.5 for target in of[TEN[0]].own)
    assert all(100 < count < 200 for count in halves.values())


def test_the_order_of_peers_and_targets_does_not_matter() -> None:
    """Probers agree on their shares whatever the order of peers and targets."""
    one = Rendezvous(ENTRIES).assign("a", 0, {"b": 0, "c": 0}, SLOT)
    other = Rendezvous(reversed(ENTRIES)).assign("a", 0, {"c": 0, "b": 0}, SLOT)
    assert one.own == other.own


def test_a_newcomer_takes_over_at_the_beginning_of_its_slot() -> None:
    """A target's old prober keeps it until the new prober's first slot. From then on the new one probes it."""
    before, after = shares(TEN[:3]), shares(TEN[:4], {TEN[3]: 2 * SLOT})
    for prober in TEN[:3]:
        assert probed(after[prober], SLOT) == before[prober].own
    assert not probed(after[TEN[3]], SLOT)
    taken = probed(after[TEN[3]], 2 * SLOT)
    assert taken == after[TEN[3]].own
    assert sum(len(probed(share, 2 * SLOT)) for share in after.values()) == len(ENTRIES)
    assert {target for share in after.values() for target in probed(share, 2 * SLOT)} == {e.target for e in ENTRIES}


def test_targets_to_be_handed_over_are_not_own() -> None:
    """Targets that are being handed over are still probed but do not count as own."""
    share = Rendezvous(ENTRIES).assign("a", 0, {"b": 2 * SLOT}, SLOT)
    assert len(share.entries) == len(ENTRIES)
    assert len(share.own) < len(ENTRIES)
    assert Rendezvous(ENTRIES).assign("a", 0, {"b": 2 * SLOT}, 2 * SLOT).own == share.own


def test_the_days_of_a_target_stay() -> None:
    """A target that is active on some days only is not probed on others, whichever prober has it."""
    entry = ScheduleEntry(Target("a"), 5.0, active_from=SLOT, active_until=2 * SLOT)
    (narrowed,) = Rendezvous([entry]).assign("a", 4 * SLOT, {}, 3 * SLOT).entries
    assert not any(narrowed.covers(slot * SLOT) for slot in range(9))


def test_a_share_cannot_be_changed() -> None:
    """A share is immutable."""
    with pytest.raises(FrozenInstanceError):
        Share().entries = ENTRIES  # type: ignore[misc]


def test_a_peer_counts_from_its_first_heartbeat_until_it_is_silent() -> None:
    """A peer is alive for three heartbeats after its last one, by the receiver's clock."""
    membership = Membership("a", 0.0)
    assert len(membership) == 1
    assert membership.receive(peer(), now=100.0) is MembershipChange.ARRIVED
    assert membership.receive(peer(), now=102.0) is None
    assert (len(membership), sharing(membership)) == (2, {"b": 0})
    assert membership.next_expiry(102.0) == SILENT_SECONDS
    assert membership.expire(102.0 + SILENT_SECONDS - 0.1) == []
    assert membership.expire(102.0 + SILENT_SECONDS) == [peer()]
    assert (len(membership), sharing(membership)) == (1, {})


def test_a_peer_that_leaves_is_gone_at_once() -> None:
    """The last heartbeat of a stopping prober frees its share and is reported once."""
    membership = Membership("a", 0.0)
    membership.receive(peer(), now=0.0)
    assert membership.receive(peer(leaving=True), now=1.0) is MembershipChange.LEFT
    assert sharing(membership) == {}
    assert membership.receive(peer(leaving=True), now=1.0) is None


@pytest.mark.parametrize("other", [peer(share_from=None), peer(version="r2"), peer(version="")])
def test_a_peer_that_does_not_probe_the_same_takes_nothing(other: Heartbeat) -> None:
    """A peer that does not probe yet, or probes by another register, is alive and takes no target."""
    membership = Membership("a", 0.0)
    membership.receive(other, now=0.0)
    assert (len(membership), sharing(membership)) == (2, {})


def test_a_peer_that_measures_nothing_takes_nothing() -> None:
    """With ``measured_since``, a peer counts only if it measured since then. A new heartbeat does not reset that."""
    membership = Membership("a", 0.0)
    membership.measured("b", 1.0)
    membership.receive(peer(), now=2.0)
    assert membership.active_peers("r1", "p1", measured_since=0.0) == {}
    membership.measured("c", 3.0)
    membership.measured("b", 4.0)
    membership.receive(peer(), now=5.0)
    assert membership.active_peers("r1", "p1", measured_since=4.0) == {"b": 0}
    assert membership.active_peers("r1", "p1", measured_since=4.1) == {}
    assert sharing(membership) == {"b": 0}


def test_a_prober_started_again_has_yet_to_measure() -> None:
    """Measurements of a process do not count for the process that replaces it."""
    membership = Membership("a", 0.0)
    membership.receive(peer(started=1.0), now=0.0)
    membership.measured("b", 1.0)
    membership.receive(peer(started=2.0), now=2.0)
    assert membership.active_peers("r1", "p1", measured_since=0.0) == {}


def test_no_more_peers_than_a_vantage_can_have() -> None:
    """Of ten thousand invented peers, some hundred are remembered, and those already known still count."""
    membership = Membership("a", 0.0)
    membership.receive(peer("b"), now=0.0)
    for number in range(10_000):
        membership.receive(peer(f"ghost-{number}"), now=1.0)
    assert len(membership) == 257
    assert membership.receive(peer("b"), now=2.0) is None
    assert "b" in sharing(membership)
    membership.expire(1.0 + SILENT_SECONDS)
    assert membership.receive(peer("c"), now=9.0) is MembershipChange.ARRIVED


def test_the_own_heartbeat_is_ignored() -> None:
    """A prober that receives its own heartbeat is still alone."""
    membership = Membership("a", 1.5)
    assert membership.receive(peer("a", 1.5), now=0.0) is None
    assert (len(membership), sharing(membership)) == (1, {})


def test_a_prober_started_again_replaces_itself() -> None:
    """After kill -9 and a restart, the dead process has no share, and nothing is reported as doubled."""
    membership = Membership("a", 0.0)
    membership.receive(peer(started=1.0), now=0.0)
    assert membership.receive(peer(started=2.0, share_from=None), now=1.0) is MembershipChange.ARRIVED
    assert (len(membership), sharing(membership)) == (2, {})
    assert membership.receive(peer(started=2.0, share_from=SLOT), now=3.0) is None
    assert membership.expire(SILENT_SECONDS) == []
    assert (len(membership), sharing(membership)) == (2, {"b": SLOT})


def test_two_processes_with_one_id_are_reported_and_both_alive() -> None:
    """If the replaced process sends another heartbeat, both count, and each is reported once."""
    membership = Membership("a", 0.0)
    membership.receive(peer(started=1.0, share_from=SLOT), now=0.0)
    membership.receive(peer(started=2.0, share_from=2 * SLOT), now=1.0)
    heard = [membership.receive(peer(started=1.0 + at % 2, share_from=SLOT), now=2.0 + at) for at in range(4)]
    assert heard == [MembershipChange.DOUBLED, MembershipChange.DOUBLED, None, None]
    assert (len(membership), sharing(membership)) == (3, {"b": SLOT})


def test_another_process_with_the_same_id_takes_nothing() -> None:
    """Another process with this prober's id has the same share, and its second heartbeat reveals that there are two."""
    membership = Membership("a", 0.0)
    assert membership.receive(peer("a", 7.0), now=0.0) is MembershipChange.ARRIVED
    assert membership.receive(peer("a", 7.0), now=2.0) is MembershipChange.DOUBLED
    assert membership.receive(peer("a", 7.0), now=4.0) is None
    assert (len(membership), sharing(membership)) == (2, {})
