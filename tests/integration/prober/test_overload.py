"""A prober with more targets than it can probe (docs/probing.md §5, behaviour 34)."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from services.core.model.measurement import Target
from services.core.model.outcome import Reason
from services.prober import launcher
from services.prober.scheduling.schedule import target_phase
from services.prober.transport.connection import FreshConnection
from tests.support.cases.probing import register, running
from tests.support.patient_loop import stand_still
from tests.support.servers.http_server import says, serving

pytestmark = pytest.mark.usefixtures("quick")

LINKS = 200
TURN_SECONDS = 0.02


async def _hog() -> None:
    """Keep every turn of the loop busy."""
    while True:
        stand_still(TURN_SECONDS)
        await asyncio.sleep(0)


async def test_34_overload_is_shared_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If more is due than a prober can launch, each target is probed or shed once a slot, early and late ones alike.
    None counts as failed.
    """
    monkeypatch.setattr(launcher, "_LAUNCHES_AT_ONCE", 1)
    async with serving(says()) as server:
        urls = {f"link-{number}": server.url() for number in range(LINKS)}
        async with running(tmp_path, register(urls, slot=2, timeout=0.5)) as prober:
            hog = asyncio.create_task(_hog())
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) > 3)
            hog.cancel()
    slot = sorted({row.slot_start for row in rows})[1]
    seen = {row.target.id: row.reason for row in rows if row.slot_start == slot}
    assert len(seen) == LINKS
    assert Counter(row.slot_start for row in rows)[slot] == LINKS
    assert set(seen.values()) == {Reason.OK, Reason.SHED}
    for third in (1, 2):  # in the first third it was not behind yet
        within = [name for name in seen if int(target_phase(Target(name)) * 3) == third]
        assert {seen[name] for name in within} == {Reason.OK, Reason.SHED}


async def test_34_falling_behind_once_sheds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes that were due while the loop stood still are launched late and not shed, since they are soon done."""
    monkeypatch.setattr(launcher, "_LAUNCHES_AT_ONCE", 1)
    async with serving(says()) as server:
        urls = {f"link-{number}": server.url() for number in range(100)}
        async with running(tmp_path, register(urls, slot=6, timeout=1.0)) as prober:
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) > 1)
            stand_still(1.0)
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) > 2)
    slot = sorted({row.slot_start for row in rows})[1]
    # On a busy machine the loop also stands still by itself, which is not the target's fault.
    assert {row.reason for row in rows if row.slot_start == slot} <= {Reason.OK, Reason.PROBER_ERROR}
    assert Counter(row.slot_start for row in rows)[slot] == 100


async def test_34_costly_probes_do_not_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If each probe takes much time of the loop, as a handshake does, few are under way at once, and others are shed."""
    connection_made, under_way = FreshConnection.connection_made, []

    def shake_hands(connection: FreshConnection, transport: asyncio.BaseTransport) -> None:
        under_way.append(prober.launcher.inflight)
        stand_still(0.01)
        connection_made(connection, transport)

    monkeypatch.setattr(FreshConnection, "connection_made", shake_hands)
    async with serving(says()) as server:
        urls = {f"link-{number}": server.url() for number in range(LINKS)}
        async with running(tmp_path, register(urls, slot=2, timeout=0.5)) as prober:
            rows = await prober.sink.until(lambda rows: len({row.slot_start for row in rows}) > 2)
    slot = sorted({row.slot_start for row in rows})[1]
    assert Reason.SHED in {row.reason for row in rows if row.slot_start == slot}
    assert Counter(row.slot_start for row in rows)[slot] == LINKS
    assert max(under_way) < 40  # those of a few turns; if twenty started in each turn, 80
    assert len(under_way) > 100  # a slot has time for 140 in its launches alone
