"""Several prober processes of one vantage, on a real bus. Not a test itself."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

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

__all__ = ["COUNT", "SLOT", "TARGETS", "Fleet", "fleet", "shares"]

SLOT = 3
COUNT = 40
LINK = "{name},birth-certificate,tax-office,item-{name},,,always,page,{{base}}/{name},,,,,,\n"
TARGETS = frozenset(Target(f"link-{number}") for number in range(COUNT))


async def _page(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(200, b"ok"))


def shares(*probers: str) -> dict[str, frozenset[Target]]:
    """Return the share of each of these probers once they have shared for long."""
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
        """Return all measurements so far."""
        while messages := await self.bus.read(MEASUREMENTS, self._read + 1):
            for message in messages:
                self.rows += decode_measurements(message.data)
            self._read = messages[-1].sequence
        return self.rows

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition on the measurements and heartbeats holds."""

        async def look() -> bool:
            await self.read()
            return condition()

        def missing() -> str:
            logs = "\n".join(self.log(name)[-800:] for name in self.processes)
            return f"{what}: {self.heard}\n{logs}"

        await eventually(look, missing)

    async def shared_by(self, *probers: str) -> int:
        """Wait until exactly these share the targets, by their own heartbeats. Return the next slot."""
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
        """Return the probers that accounted for each target in a slot.

        A probe that a stopping prober cut short does not count.
        """
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
