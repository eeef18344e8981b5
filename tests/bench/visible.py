"""Measure how long it takes until the api shows a measurement, with a real nats-server, scorer and api.

Every link is measured once a slot, as by probers. Now and then one more is measured in a slot whose index is already
published, and the api is asked until its answer includes that. This is the whole way: stored by the bus, read by the
scorer, counted in an index, published on the bus, read by the api, answered. The index that becomes due at the end of a
slot is also timed.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import grpc
import grpc.aio

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from services.core.bus import Bus
from services.core.bus.names import measurement_subject
from services.core.codec import encode_measurements
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.register import Register
from services.register.bus.publish import publish_register
from services.register.versions.rows import with_versions
from tests.bench.component import Component, component
from tests.bench.growth.points import point
from tests.bench.loads.synthetic import register_of
from tests.bench.meters.process import cpu_seconds, machine
from tests.support.nats import running_nats
from tests.support.ports import free_port

__all__ = ["visible"]

SLOT = 60  # seconds
LARGE_SLOT = 300  # of more than LARGE links
LARGE = 100_000
FOLLOWED = 150  # measurements
PAUSE_SECONDS = 0.8  # between two of them, or more, so that all take at least a slot
ASK_SECONDS, ASK_SHARE = 0.02, 0.02  # between two requests, and at least this share of the time waited so far
SEEDED_SLOTS = 2
BATCH = 500
FLUSH_SECONDS = 0.5
WAIT_SECONDS = 1200.0
WINDOW = 28
AIMS = {10_000: 2.0, 1_000_000: 30.0}
"""Seconds that 99 % should not exceed (docs/design.md §8)."""

Stub = indicator_service_pb2_grpc.IndicatorServiceStub


def visible(links: int) -> Iterator[str]:
    """Measure an index of so many links, and yield lines of figures."""
    yield f"measurement to visible index, {links:,} links, from {time.strftime('%F %T %Z')}"
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-", dir=Path.cwd()) as folder:
        yield from asyncio.run(_measured(links, Path(folder)))


@dataclass(frozen=True, slots=True)
class _System:
    """The running system: register, connection as the prober, client of the api, processes of scorer and api."""

    register: Register
    bus: Bus
    ask: indicator_service_pb2_grpc.IndicatorServiceAsyncStub
    scorer: Component
    api: Component

    @property
    def slot(self) -> int:
        """The seconds of a slot."""
        return self.register.policy.slot_seconds


@dataclass(slots=True)
class _Seen:
    """Seconds until a measurement was answered, and from a slot's settling until its index was answered."""

    measured: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)


async def _measured(links: int, folder: Path) -> list[str]:
    chance, seen = Random(7), _Seen()
    register = _register(links)
    first, *followed = chance.sample(sorted(register.links), 1 + FOLLOWED)
    async with _running(register, folder) as system:
        slot = await _seed(system, {first, *followed})
        probing = asyncio.create_task(_probe(system))
        # Daily and hourly publications happen beside this and the following ones.
        begun = time.monotonic()
        await _follow(system, first, slot, _Seen())
        waited = time.monotonic() - begun
        others = [probing, asyncio.create_task(_watch(system, int(time.time()) // system.slot, seen))]
        started, cpu = time.monotonic(), _spent(system)
        async with asyncio.TaskGroup() as group:
            for link in followed:
                group.create_task(_follow(system, link, slot, seen))
                await asyncio.sleep(chance.uniform(0.5, 1.5) * max(PAUSE_SECONDS, system.slot / FOLLOWED))
        took = time.monotonic() - started
        shares = [f"{(now - then) / took:.0%}" for now, then in zip(_spent(system), cpu, strict=True)]
        for task in others:
            task.cancel()
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
    found = f"  {FOLLOWED} measurements of a slot already published, until they are answered: {_spread(seen.measured)}"
    if aim := AIMS.get(links):
        met = "met" if _quantile(seen.measured, 0.99) <= aim else "MISSED"
        found += f"; aim for 99 %: {aim:g} s, {met}"
    settled = [point("settled", links, _quantile(seen.settled, 0.5))] if seen.settled else []
    return [
        *settled,
        f"  the first, right after the first index: {waited:.2f} s",
        found,
        f"  {len(seen.settled)} slots, from when they are settled until their index is answered: {_spread(seen.settled)}",
        f"  meanwhile {links / system.slot:,.0f} measurements/s in slots of {system.slot} s; of a core the scorer took"
        " {}, the api {}".format(*shares),
    ]


def _register(links: int) -> Register:
    """Return a register whose windows begin yesterday."""
    register = register_of(links)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    slot = SLOT if links <= LARGE else LARGE_SLOT
    policy = replace(register.policy, slot_seconds=slot, epoch=midnight - timedelta(days=1))
    return with_versions(replace(register, policy=policy))


@asynccontextmanager
async def _running(register: Register, folder: Path) -> AsyncIterator[_System]:
    address = f"127.0.0.1:{free_port()}"
    async with running_nats(folder / "nats") as nats, nats.connect("prober") as bus:
        async with nats.connect("register") as writer:
            await publish_register(writer, register, now=time.time())
        with (
            component("scorer", nats, folder, data=folder / "scorer") as scorer,
            component("api", nats, folder, listen=address) as api,
        ):
            async with grpc.aio.insecure_channel(address) as channel:
                yield _System(register, bus, Stub(channel), scorer, api)


async def _seed(system: _System, unheard: set[str]) -> int:
    """Measure every link but the ``unheard`` in the last slots. Return the latest slot once its index is answered."""
    links = [link for link in system.register.links if link not in unheard]
    latest = int(time.time()) // system.slot - 1
    for slot in range(latest + 1 - SEEDED_SLOTS, latest + 1):
        sequence = await _send(system, links, slot)
    await _answered(system, indicator_pb2.INDICATOR_KIND_GOVERNMENT, "", sequence, (latest + 1) * system.slot)
    return latest


async def _follow(system: _System, link: str, slot: int, seen: _Seen) -> None:
    begun = time.monotonic()
    sequence = await _send(system, [link], slot)
    await _answered(system, indicator_pb2.INDICATOR_KIND_LINK, link, sequence, 0)
    seen.measured.append(time.monotonic() - begun)


async def _watch(system: _System, slot: int, seen: _Seen) -> None:
    """Wait for the index of each slot from this one on."""
    while True:
        end = (slot + 1) * system.slot
        settled = end + system.register.settle_seconds
        await asyncio.sleep(max(0.0, settled - time.time()))
        as_of = await _answered(system, indicator_pb2.INDICATOR_KIND_GOVERNMENT, "", 0, end)
        seen.settled.append(time.time() - settled)
        slot = as_of // system.slot


async def _answered(
    system: _System, kind: indicator_pb2.IndicatorKind.ValueType, name: str, sequence: int, as_of: int
) -> int:
    """Ask until the answer includes the stream up to ``sequence`` and time up to ``as_of``. Return its as_of."""
    request = messages.GetIndicatorRequest(kind=kind, id=name, window_days=WINDOW)
    begun = time.monotonic()
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                found = (await system.ask.GetIndicator(request, wait_for_ready=True)).indicator
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:  # there is no index yet
                    raise
            else:
                if found.evidence_sequence >= sequence and found.as_of.seconds >= as_of:
                    return int(found.as_of.seconds)
            await asyncio.sleep(max(ASK_SECONDS, ASK_SHARE * (time.monotonic() - begun)))


async def _probe(system: _System) -> None:
    """Measure every link once a slot until cancelled, evenly over the slot, like probers that start now."""
    links = list(system.register.links)
    slot = int(time.time()) // system.slot
    sent = math.ceil((time.time() / system.slot - slot) * len(links))
    while True:
        due = min(len(links), math.ceil((time.time() / system.slot - slot) * len(links)))
        if due > sent:
            await _send(system, links[sent:due], slot)
            sent = due
        if sent == len(links):
            slot, sent = slot + 1, 0
            await asyncio.sleep(max(0.0, slot * system.slot - time.time()))
        else:
            await asyncio.sleep(FLUSH_SECONDS)


async def _send(system: _System, links: Sequence[str], slot: int) -> int:
    """Publish that these links were OK. Return the sequence of the last message."""
    sequence = 0
    for start in range(0, len(links), BATCH):
        moment = slot * system.slot
        rows = [
            Measurement(Target(link), "main", moment, moment + 1.0, Outcome.OK, Reason.OK, 0.05)
            for link in links[start : start + BATCH]
        ]
        sequence = await system.bus.publish(
            measurement_subject("main", 0), encode_measurements(rows), message_id="", timeout=WAIT_SECONDS
        )
    return sequence


def _spent(system: _System) -> list[float]:
    return [cpu_seconds(one.pid) for one in (system.scorer, system.api)]


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "none"
    found = [f"{name} {_quantile(values, share):.2f}" for name, share in (("50 %", 0.5), ("99 %", 0.99), ("all", 1.0))]
    return f"{', '.join(found)} s"
