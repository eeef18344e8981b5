"""Several prober processes of one vantage, on a real bus."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import pytest

from tests.support.cases.fleet import COUNT, SLOT, fleet, shares
from tests.support.waiting import eventually


@pytest.mark.slow
async def test_probers_share_and_lose_no_slot_as_they_come_and_go(
    nats: Any, tmp_path: Path, port: Callable[[], int]
) -> None:
    """Three probers share. A fourth takes its own share and no more, one leaves, and every slot is measured. The links
    of a killed prober are probed again, and those of the others continue.
    """
    async with fleet(nats, tmp_path, port) as probers:
        probers.start("p1")
        first = await probers.shared_by("p1")
        for name in ("p2", "p3"):
            probers.start(name)
        three = await probers.shared_by("p1", "p2", "p3") + SLOT
        await probers.measured(three)
        assert probers.owners(three) == shares("p1", "p2", "p3")

        probers.start("p4")
        four = await probers.shared_by("p1", "p2", "p3", "p4") + SLOT
        await probers.measured(four)
        joined = probers.owners(four)
        assert joined == shares("p1", "p2", "p3", "p4")
        assert {name: share - joined["p4"] for name, share in probers.owners(three).items()} == {
            name: share for name, share in joined.items() if name != "p4"
        }

        assert await probers.stop("p2") == 0
        left = await probers.shared_by("p1", "p3", "p4")
        assert probers.heard["p2"].leaving
        await probers.measured(left)
        assert probers.owners(left) == shares("p1", "p3", "p4")
        for slot in range(first, left + SLOT, SLOT):
            await probers.measured(slot)

        killed = time()
        await probers.stop("p3", signal.SIGKILL)
        orphans = shares("p1", "p3", "p4")["p3"]

        def again() -> bool:
            return orphans <= {row.target for row in probers.rows if (row.time or 0) > killed and row.prober != "p3"}

        await probers.until(again, "the killed prober's links were probed again")
        back = await probers.shared_by("p1", "p4")
        await probers.measured(back)
        assert probers.owners(back) == shares("p1", "p4")
        for slot in range(left, back, SLOT):
            kept = probers.owners(slot)
            for name in ("p1", "p4"):
                assert kept[name] >= shares("p1", "p3", "p4")[name]
        assert {await probers.stop(name) for name in ("p1", "p4")} == {0}
    assert not any("prober_doubled" in probers.log(name) for name in ("p1", "p2", "p3", "p4"))


@pytest.mark.slow
async def test_without_a_bus_everybody_probes_everything(nats: Any, tmp_path: Path, port: Callable[[], int]) -> None:
    """Without each other's heartbeats each prober takes all targets; with them they share again; no slot is lost."""
    async with fleet(nats, tmp_path, port) as probers:
        for name in ("p1", "p2"):
            probers.start(name)
        first = await probers.shared_by("p1", "p2")
        await probers.measured(first + SLOT)
        nats.kill()
        alone = {name: len(re.findall(f'"targets": {COUNT},', probers.log(name))) for name in ("p1", "p2")}

        def taken() -> bool:
            logs = {name: probers.log(name) for name in ("p1", "p2")}
            return all(len(re.findall(f'"targets": {COUNT},', log)) > alone[name] for name, log in logs.items())

        await eventually(taken, lambda: f"each takes all targets: {probers.log('p1')}")
        probers.heard.clear()
        nats.start()
        last = await probers.shared_by("p1", "p2") + SLOT
        await probers.measured(last)
        for slot in range(first, last, SLOT):
            await probers.measured(slot)
        assert probers.owners(last) == shares("p1", "p2")


@pytest.mark.slow
async def test_two_processes_of_one_id_probe_the_same(nats: Any, tmp_path: Path, port: Callable[[], int]) -> None:
    """Two processes with the id p1 probe its share side by side, each logs an error, and no slot is lost
    when one of them dies.
    """
    async with fleet(nats, tmp_path, port) as probers:
        probers.start("one", "p1")
        probers.start("p2")
        first = await probers.shared_by("p1", "p2")
        probers.start("other", "p1")
        names = ("one", "other", "p2")
        await probers.until(lambda: all("prober_doubled" in probers.log(name) for name in names), "it was noticed")
        both = (int(time()) // SLOT + 2) * SLOT
        twice = Counter([*shares("p1", "p2")["p1"]] * 2)

        def measured_twice() -> bool:
            mine = [row.target for row in probers.rows if row.slot_start == both and row.prober == "p1"]
            return Counter(mine) == twice

        await probers.until(measured_twice, "both had measured the share")
        await probers.measured(both)
        assert probers.owners(both) == shares("p1", "p2")
        await probers.stop("one", signal.SIGKILL)
        after = (int(time()) // SLOT + 2) * SLOT
        for slot in range(first, after, SLOT):
            await probers.measured(slot)
