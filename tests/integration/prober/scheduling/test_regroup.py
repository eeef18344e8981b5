"""One prober with simulated peers: its share, the share's first slot, and the effect of a wrong clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.codec import Heartbeat
from services.core.model.measurement import Target
from services.prober.scheduling.rendezvous import Rendezvous
from services.prober.scheduling.schedule import ScheduleEntry
from tests.support.cases.probing import Clock, RunningProber, register, running
from tests.support.patient_loop import monotonic, wall_time
from tests.support.servers.http_server import says, serving

pytestmark = pytest.mark.usefixtures("quick")

SLOT = 2
NAMES = tuple(f"link-{number}" for number in range(20))


def peer(share_from: int | None, *, leaving: bool = False) -> Heartbeat:
    return Heartbeat("north", "p2", 0.0, 1.0, "r1", "p1", 9, leaving, share_from)


def hear(prober: RunningProber, share_from: int | None, *, leaving: bool = False, measured: bool = True) -> None:
    prober.membership.receive(peer(share_from, leaving=leaving), now=monotonic())
    if measured:
        prober.membership.measured("p2", monotonic())
    prober.launcher.regroup()


def mine() -> set[str]:
    """Return the share of p1 when p2 is its peer."""
    targets = Rendezvous(ScheduleEntry(Target(name), 0.5) for name in NAMES)
    return {target.id for target in targets.assign("p1", 0, {"p2": 0}, 0).own}


async def test_a_share_follows_the_peers(tmp_path: Path) -> None:
    """A prober hands over targets from exactly the slot that its peer names, and takes them back when the peer leaves."""
    async with serving(says()) as server, running(tmp_path, register(dict.fromkeys(NAMES, server.url()))) as prober:
        await prober.sink.until(lambda rows: {row.target.id for row in rows} == set(NAMES))
        given_up = (int(wall_time()) // SLOT + 2) * SLOT
        hear(prober, None)
        assert prober.launcher.targets == len(NAMES)
        hear(prober, given_up)
        assert prober.launcher.targets == len(mine()) == prober.sample("peyvand_probe_targets", kind="link")
        rows = await prober.sink.until(lambda rows: any(row.slot_start > given_up for row in rows))
        by_slot = {slot: {r.target.id for r in rows if r.slot_start == slot} for slot in (given_up - SLOT, given_up)}
        assert by_slot == {given_up - SLOT: set(NAMES), given_up: mine()}
        hear(prober, given_up, leaving=True)
        back = (int(wall_time()) // SLOT + 1) * SLOT
        rows = await prober.sink.until(lambda rows: any(row.slot_start > back for row in rows))
        assert {row.target.id for row in rows if row.slot_start == back} == set(NAMES)


async def test_a_peer_counts_while_its_measurements_arrive(tmp_path: Path) -> None:
    """A peer that sends heartbeats takes no target until it has measured, and loses all when it measures nothing more."""
    async with serving(says()) as server, running(tmp_path, register(dict.fromkeys(NAMES, server.url()))) as prober:
        hear(prober, 0, measured=False)
        rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 2)
        assert {row.target.id for row in rows} == set(NAMES)
        assert prober.launcher.targets == len(NAMES)
        hear(prober, 0)
        assert prober.launcher.targets == len(mine())
        end = monotonic() + 2 * SLOT + 0.5
        await prober.sink.until(lambda _: monotonic() > end)
        hear(prober, 0, measured=False)
        assert prober.launcher.targets == len(NAMES)
        back = (int(wall_time()) // SLOT + 1) * SLOT
        rows = await prober.sink.until(lambda rows: any(row.slot_start > back for row in rows))
        assert {row.target.id for row in rows if row.slot_start == back} == set(NAMES)


async def test_with_a_peer_probing_begins_with_the_next_slot(tmp_path: Path) -> None:
    """A new prober names the next slot as its first, probes nothing before it, and then its share."""
    async with serving(says()) as server, running(tmp_path, register(dict.fromkeys(NAMES, server.url()))) as prober:
        hear(prober, 0)  # before the first control round
        rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 2)
        first = min(row.slot_start for row in rows)
        assert prober.launcher.share_from == first
        assert {row.target.id for row in rows if row.slot_start == first} == mine()


async def test_38_a_new_register_among_peers_loses_no_slot(tmp_path: Path) -> None:
    """The first prober with a new register probes everything until its peer has it too, then its share; no slot is lost."""
    async with serving(says()) as server:
        first = register(dict.fromkeys(NAMES, server.url()))
        async with running(tmp_path, first) as prober:
            hear(prober, 0)
            await prober.sink.until(bool)
            await prober.prober.adopt(replace(first, register_version="r2"))
            assert prober.launcher.targets == len(NAMES)
            prober.membership.receive(replace(peer(0), register_version="r2"), now=monotonic())
            prober.membership.measured("p2", monotonic())
            prober.launcher.regroup()
            assert prober.launcher.targets == len(mine())
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) >= 4)
    whole = sorted({row.slot_start for row in rows})[:3]
    counts = Counter((row.target.id, row.slot_start) for row in rows)
    assert all(counts[name, slot] == 1 for name in mine() for slot in whole)
    assert {row.register_version for row in rows} >= {"r2"}


@pytest.mark.parametrize("ahead", [0.0, 3600.0])
async def test_33_probing_continues_after_the_clock_is_set(tmp_path: Path, ahead: float) -> None:
    """A new prober whose clock is an hour off, and then set, continues with the current slot; skipped slots are counted."""
    clock = Clock(ahead)
    async with (
        serving(says()) as server,
        running(tmp_path, register(dict.fromkeys(NAMES, server.url())), clock=clock) as prober,
    ):
        hear(prober, 0)  # before the first control round
        if ahead == 0.0:
            await prober.sink.until(bool)
        async with asyncio.timeout(60):
            await prober.prober.control_loop.first_round.wait()
        clock.ahead = ahead = 3600.0 - ahead
        before = len(prober.sink.rows)
        set_at = wall_time() + ahead
        rows = await prober.sink.until(lambda rows: any(row.slot_start >= set_at for row in rows[before:]))
        assert {row.target.id for row in rows[before:]} <= mine()
        leapt = prober.sample("peyvand_probe_leapt_slots_total") or 0
        assert (leapt > 3000 / SLOT) == (ahead > 0)
