"""A prober in this process with a bus in memory, and small registers for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from services.core.codec import decode_measurements
from services.core.errors import BusError
from services.core.model.measurement import Measurement
from services.core.model.probe import Probe
from services.core.model.register import Agency, Government, Link, Policy, Register, Service, Vantage
from services.core.settings import Settings
from services.prober.component import Prober
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.launcher import Launcher
from services.prober.metrics import ProberMetrics
from services.prober.publishing.publisher import MeasurementPublisher
from services.prober.publishing.spool import Spool
from services.prober.scheduling.membership import Membership
from tests.support.patient_loop import wall_time
from tests.support.servers.http_server import LOOPBACK

__all__ = ["Clock", "RunningProber", "register", "running", "slots"]


class Sink:
    """A bus that keeps all messages while it is connected."""

    def __init__(self) -> None:
        self.connected = True
        self.messages: dict[str, tuple[str, bytes]] = {}
        self.news = asyncio.Condition()

    async def publish(self, subject: str, payload: bytes, *, message_id: str, **_: int | None) -> int:
        if not self.connected:
            raise BusError("the bus is down")
        async with self.news:
            self.messages[message_id] = (subject, payload)
            self.news.notify_all()
        return len(self.messages)

    @property
    def rows(self) -> list[Measurement]:
        return [row for _, payload in self.messages.values() for row in decode_measurements(payload)]

    async def until(self, enough: Callable[[list[Measurement]], bool], seconds: float = 60.0) -> list[Measurement]:
        """Wait for enough measurements and return all of them."""
        async with asyncio.timeout(seconds), self.news:
            await self.news.wait_for(lambda: enough(self.rows))
        return self.rows


def register(
    urls: dict[str, str], *, control: tuple[str, ...] = (), slot: int = 2, timeout: float = 0.5, **link: object
) -> Register:
    """Return a register with one link per URL. The keys of ``urls`` are the ids."""
    return Register(
        agencies={"a": Agency("a", "A", "آ", "s"), "b": Agency("b", "B", "ب", "s")},
        services={"service": Service("service", "a", "S", "س")},
        links={
            name: Link(name, "service", "b", f"item-{name}", probe="page", target=url, **link)  # type: ignore[arg-type]
            for name, url in urls.items()
        },
        endpoints={},
        probes={"page": Probe("page", "http", timeout=timeout)},
        policy=Policy(
            government=Government("g", "G", "گ"),
            timezone="Asia/Tehran",
            epoch=datetime(2026, 1, 1, tzinfo=UTC),
            slot_seconds=slot,
            vantages=(Vantage("north", control), Vantage("south")),
            egress=LOOPBACK,
        ),
        register_version="r1",
        probe_version="p1",
    )


class Clock:
    """The wall clock, which a test may set ``ahead`` by some seconds."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def __call__(self) -> float:
        return wall_time() + self.ahead


class RunningProber:
    """A prober and everything that it needs, with a bus in memory."""

    def __init__(self, folder: Path, clock: Clock, **settings: Any) -> None:
        self.sink = Sink()
        self.registry = CollectorRegistry()
        self.environment = ProbeEnvironment()
        self.spool = Spool(folder / "spool", 1 << 20)
        self.spool.open()
        chosen = Settings(vantage="north", prober="p1", **settings)
        log = structlog.get_logger()
        metrics = ProberMetrics(self.registry)
        self.publisher = MeasurementPublisher(self.spool, self.sink, metrics, log, run=bytes(range(16)))
        self.membership = Membership("p1", 1.0)
        self.clock = clock
        self.prober = Prober(chosen, self.environment, self.publisher, self.membership, metrics, log, clock)

    @property
    def launcher(self) -> Launcher:
        return self.prober.launcher

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def close(self) -> None:
        self.spool.close()
        await self.environment.close()


@asynccontextmanager
async def running(
    folder: Path, first: Register, *, clock: Clock | None = None, **settings: object
) -> AsyncIterator[RunningProber]:
    """Run a prober and stop it in an orderly way at the end."""
    made = RunningProber(folder, clock or Clock(), **settings)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(made.publisher.send())
        control = group.create_task(made.prober.control_loop.run())
        adopting = group.create_task(made.prober.adopt(first))
        try:
            yield made
        finally:
            await adopting
            await made.prober.finish(1.0)
            await asyncio.wait({control}, timeout=5)
            sending.cancel()
            await made.publisher.drain(1.0)
            await made.close()


def slots(rows: list[Measurement], name: str) -> Counter[int]:
    return Counter(row.slot_start for row in rows if row.target.id == name)
