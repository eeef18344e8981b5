"""Several prober processes of one vantage, on a real bus."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

import pytest

from services.core.bus import Bus
from services.core.bus.names import MEASUREMENTS, heartbeat_subject
from services.core.codec import Heartbeat, decode_heartbeat, decode_measurements
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import Reason
from services.prober.scheduling.rendezvous import Rendezvous
from services.prober.scheduling.schedule import ScheduleEntry
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.forked import ForkedProcess
from tests.support.registers import LINKS, write_register
from tests.support.servers.http_server import Request, answer, serving
from tests.support.waiting import DEADLINE, eventually

SLOT = 4
COUNT = 40
LINK = "{name},birth-certificate,tax-office,item-{name},,,always,page,{{base}}/{name},,,,,,\n"
TARGETS = frozenset(Target(f"link-{number}") for number in range(COUNT))


async def _page(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(200, b"ok"))


def shares(*probers: str) -> dict[str, frozenset[Target]]:
    """The share of each when these probers have long been sharing."""
    of = Rendezvous(ScheduleEntry(target, 0.9) for target in TARGETS)
    return {one: of.assign(one, 0, dict.fromkeys(set(probers) - {one}, 0), SLOT).own for one in probers}


@dataclass
class Fleet:
    """Prober processes of the vantage "main", and what they publish and send."""

    nats: Any
    folder: Path
    bus: Bus
    port: Callable[[], int]
    metrics: dict[str, int] = field(default_factory=dict)
    processes: dict[str, ForkedProcess] = field(default_factory=dict)
    heard: dict[str, Heartbeat] = field(default_factory=dict)
    rows: list[Measurement] = field(default_factory=list)
    _read: int = 0

    def start(self, name: str, prober: str = "") -> None:
        """Start a process; ``name`` names its files, and the prober unless another id is given."""
        flags = {
            "--nats": self.nats.url,
            "--credentials": self.nats.credentials,
            "--data": self.folder / name,
            "--metrics": f"127.0.0.1:{self.port()}",
            "--vantage": "main",
            "--prober": prober or name,
        }
        argv = [part for pair in flags.items() for part in pair]
        self.processes[name] = ForkedProcess("services.prober", *argv, stdout=self.folder / f"{name}.log")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    async def read(self) -> list[Measurement]:
        """Everything measured so far."""
        while messages := await self.bus.read(MEASUREMENTS, self._read + 1):
            for message in messages:
                self.rows += decode_measurements(message.data)
            self._read = messages[-1].sequence
        return self.rows

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition on what is measured and heard holds."""

        async def look() -> bool:
            await self.read()
            return condition()

        def missing() -> str:
            logs = "\n".join(self.log(name)[-800:] for name in self.processes)
            return f"{what}: {self.heard}\n{logs}"

        await eventually(look, missing)

    async def shared_by(self, *probers: str) -> int:
        """Wait until exactly these share, by their own heartbeats; return the next slot."""
        expected = {prober: len(share) for prober, share in shares(*probers).items()}

        def said() -> bool:
            alive = {name: beat for name, beat in self.heard.items() if not beat.leaving}
            sharing = all(name in alive and alive[name].share_from is not None for name in probers)
            return sharing and {name: alive[name].targets for name in probers} == expected

        await self.until(said, f"{probers} shared")
        return (int(time()) // SLOT + 1) * SLOT

    async def measured(self, slot: int) -> None:
        """Wait until every target has a row in this slot."""
        await self.until(lambda: set(self.by_target(slot)) == TARGETS, f"slot {slot} was whole")

    def by_target(self, slot: int) -> dict[Target, set[str]]:
        """The probers that accounted for each target in a slot; a probe that a stopping prober cut short does not count."""
        found: dict[Target, set[str]] = defaultdict(set)
        for row in self.rows:
            if row.slot_start == slot and not (row.reason is Reason.PROBER_ERROR and "stopped" in row.detail):
                found[row.target].add(row.prober)
        return dict(found)

    def owners(self, slot: int) -> dict[str, set[Target]]:
        """The targets that each prober accounted for in a slot."""
        found: dict[str, set[Target]] = defaultdict(set)
        for target, probers in self.by_target(slot).items():
            for prober in probers:
                found[prober].add(target)
        return dict(found)

    async def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return await asyncio.to_thread(process.wait, DEADLINE)


@asynccontextmanager
async def fleet(nats: Any, folder: Path, port: Callable[[], int]) -> AsyncIterator[Fleet]:
    """Forty links in force at the vantage "main", which no prober probes yet."""
    async with serving(_page) as server, nats.connect("register") as owner, nats.connect("scorer") as bus:
        links = LINKS.splitlines(keepends=True)[0] + "".join(LINK.format(name=target.id) for target in sorted(TARGETS))
        register = write_register(
            folder / "register",
            base=server.url().rstrip("/"),
            links_csv=links.format(base=server.url().rstrip("/")),
            endpoints_csv="id,agency,service,probe,target,params,vantages\n",
            probes_yaml="page: {kind: http, timeout: 900ms}\n",
            policy_yaml=("id: north", "id: main"),
        )
        policy = register / "policy.yaml"
        text = policy.read_text().replace("slot_seconds: 300", f"slot_seconds: {SLOT}").replace("bus: bus\n", "")
        policy.write_text(text.replace("default_latency_ms: 2000", "default_latency_ms: 400"))
        await publish_register(owner, load_register(register), now=time())
        async with nats.connect("prober") as peer:
            one = Fleet(nats, folder, bus, port)
            listening = asyncio.create_task(_listen(peer, one.heard))
            try:
                yield one
            finally:
                listening.cancel()
                await asyncio.wait({listening})
                for process in one.processes.values():
                    process.kill()
                    process.wait()


async def _listen(peer: Bus, heard: dict[str, Heartbeat]) -> None:
    async for payload in peer.listen(heartbeat_subject("main", "*")):
        beat = decode_heartbeat(payload)
        heard[beat.prober] = beat


@pytest.mark.slow
async def test_probers_share_and_lose_no_slot_as_they_come_and_go(
    nats: Any, tmp_path: Path, port: Callable[[], int]
) -> None:
    """Three share; a fourth takes its own share and no more, one leaves, and every slot is measured; the links of one that
    is killed are probed again, and the others' go on.
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
