"""Helpers for tests of the scorer: a register with short slots, batches of measurements, a scorer process."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from services.core.blocks import blocks_of_group
from services.core.bus import Bus
from services.core.bus.names import GOVERNMENT_KEY, INDICATOR_BUCKET, LEASE_KEY, consumers_key, measurement_subject
from services.core.codec import encode_measurements
from services.core.model.indicator import Indicator, IndicatorKind
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import Register
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.forked import ForkedProcess
from tests.support.nats import Nats
from tests.support.ports import free_port
from tests.support.processes import logged, page
from tests.support.registers import write_register
from tests.support.values.block_columns import Block, decode_block
from tests.support.waiting import DEADLINE, eventually

__all__ = [
    "SLOT",
    "Scorer",
    "batch",
    "blocks",
    "eventually",
    "government",
    "make_register",
    "measure",
    "now_slot",
    "only",
    "put",
    "register_on",
]

SLOT = 2

_OFTEN = {
    "services.core.bus.stream_cursor.CHECK_SECONDS": 0.5,
    "services.scorer.ingest.exchange_reader.EXCHANGES_POLL_SECONDS": 0.2,
    "services.scorer.session.STREAMS_SECONDS": 0.5,
}
"""How often a scorer of tests looks at its streams."""


def make_register(folder: Path, *, epoch: float | None = None, timezone: str = "UTC", **changes: Any) -> Path:
    """Write a register with slots of two seconds and one vantage, main. Its epoch is an hour ago by default."""
    write_register(folder, **changes)
    began = time.gmtime(time.time() - 3600 if epoch is None else epoch)
    policy = (folder / "policy.yaml").read_text("utf-8")
    policy = policy.replace("slot_seconds: 300", f"slot_seconds: {SLOT}").replace(
        "timezone: Asia/Tehran", f"timezone: {timezone}"
    )
    policy = policy.replace("epoch: 2026-01-01", time.strftime("epoch: %Y-%m-%dT%H:%M:%SZ", began))
    policy = (
        policy.replace("default_latency_ms: 2000", "default_latency_ms: 200")
        .replace("id: north", "id: main")
        .replace("publish_threshold: 0.8", "publish_threshold: 0.0")
    )
    (folder / "policy.yaml").write_text(policy, "utf-8")
    probes = (folder / "probes.yaml").read_text("utf-8")
    (folder / "probes.yaml").write_text(probes.replace("timeout: 5s", "timeout: 500ms"), "utf-8")
    for name in ("links.csv", "endpoints.csv"):
        text = (folder / name).read_text("utf-8")
        (folder / name).write_text(text.replace("north", "main").replace(",500,,0.99", ",200,,0.99"), "utf-8")
    return folder


async def register_on(nats: Nats, folder: Path) -> Register:
    """Load a register and publish it."""
    register = load_register(folder)
    async with nats.connect("register") as bus:
        await publish_register(bus, register, now=time.time())
    return register


def measure(
    target: str, slot: int, reason: Reason = Reason.OK, *, at: float = 0.25, vantage: str = "main"
) -> Measurement:
    """Return one measurement of a link (or of an endpoint, written ``endpoint:ID``)."""
    kind, colon, name = target.rpartition(":")
    return Measurement(
        target=Target(name, endpoint=bool(colon) and kind == "endpoint"),
        vantage=vantage,
        slot_start=slot * SLOT,
        time=slot * SLOT + at,
        outcome=OUTCOME_OF[reason],
        reason=reason,
        latency=0.01,
        prober="p1",
    )


def now_slot() -> int:
    """Return the current slot."""
    return int(time.time() // SLOT)


def batch(rows: Iterable[Measurement]) -> bytes:
    """A batch as a prober publishes it."""
    return encode_measurements(list(rows))


async def put(bus: Bus, rows: Iterable[Measurement], *, shard: int = 0) -> int:
    """Publish a batch as the prober of vantage main."""
    return await bus.publish(measurement_subject("main", shard), batch(rows), message_id="")


async def blocks(bus: Bus) -> dict[str, Block]:
    """Return every published block of indicators: `government`, and `consumer.<agency>`."""
    values = await bus.kv_all(INDICATOR_BUCKET, consumers_key("*"))
    found = {f"consumer.{name}": block for value in values.values() for name, block in blocks_of_group(value).items()}
    whole = await bus.kv_get(INDICATOR_BUCKET, GOVERNMENT_KEY)
    found |= {} if whole is None else {GOVERNMENT_KEY: whole}
    return {key: decode_block(block) for key, block in found.items()}


async def government(bus: Bus, sequence: int) -> Block:
    """Wait until the government's block includes everything up to this message, and return it."""

    async def look() -> Block | None:
        found = (await blocks(bus)).get("government")
        return found if found and found.indicators[0].evidence_sequence >= sequence else None

    return await eventually(look, "the government's block")


def only(block: Block, kind: IndicatorKind, name: str, window: int = 7) -> Indicator:
    """Return one indicator of a block."""
    (found,) = [row for row in block.indicators if (row.kind, row.id, row.window_days) == (kind, name, window)]
    return found


@dataclass
class Scorer:
    """A scorer as its own process, so that it can be killed."""

    nats: Nats
    data: Path
    metrics: int = field(default_factory=free_port)
    process: ForkedProcess | None = None

    @property
    def _errors(self) -> Path:
        return self.data / "stderr.log"

    def start(self, *flags: str, constants: Mapping[str, float] = MappingProxyType({})) -> None:
        """Start it, with other values of ``constants``, by MODULE.NAME. It looks at streams more often than usual."""
        where = ("--nats", self.nats.url, "--credentials", self.nats.credentials, "--data", self.data)
        metrics = ("--metrics", f"127.0.0.1:{self.metrics}")
        self.data.mkdir(parents=True, exist_ok=True)
        self._errors.unlink(missing_ok=True)
        self.process = ForkedProcess(
            "services.scorer",
            *(*where, *metrics, *flags),
            stdout=self.data / "scorer.log",
            stderr=self._errors,
            constants={**_OFTEN, **constants},
        )

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def killed(self) -> None:
        """Kill it with SIGKILL, and take away its lease, for which the next one would wait some seconds."""
        self.kill()
        async with self.nats.connect("scorer") as bus:
            await bus.kv_delete(INDICATOR_BUCKET, LEASE_KEY)

    async def stop(self) -> tuple[int, str]:
        """Stop it with SIGTERM. Return its exit code and stderr."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> tuple[int, str]:
        """Wait until it has ended. Return its exit code and stderr."""
        assert self.process is not None
        code = await asyncio.to_thread(self.process.wait, DEADLINE)
        return code, self._errors.read_text()

    async def get(self, path: str) -> str | None:
        """Return a page of its HTTP server, or None unless the status is 200."""
        status, text = await asyncio.to_thread(page, f"127.0.0.1:{self.metrics}", path)
        return text if status == 200 else None

    async def health(self) -> str:
        """Return the text of /health, which is empty without an answer."""
        _, text = await asyncio.to_thread(page, f"127.0.0.1:{self.metrics}", "/health")
        return text

    def events(self) -> list[str]:
        """The events it has logged, in order."""
        return [line["event"] for line in self._log()]

    def published(self) -> list[dict[str, Any]]:
        """Return the log lines about the indexes that it published, in order."""
        return [line for line in self._log() if line["event"] == "index_published"]

    def _log(self) -> list[dict[str, Any]]:
        return logged(self.data / "scorer.log")

    async def serving(self) -> None:
        """Wait until it is healthy. A failure says how its log ends."""
        await eventually(lambda: self.get("/health"), self._unserved)

    def _unserved(self) -> str:
        assert self.process is not None
        log = (self.data / "scorer.log").read_text("utf-8").splitlines()[-5:]
        return f"the scorer (exit code {self.process.poll()}) serves; its log ends with {log}"
