"""Measure publishing an index, and publishing a register and reading it back: time, CPU, bytes, messages."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from services.core.bus import SLOTS_PER_BLOCK
from services.core.bus.buckets import Bus
from services.core.bus.names import INDICATOR_BUCKET, REGISTER_BUCKET, kv_stream
from services.core.codec import decode_columns
from services.core.model.register import Register
from services.core.tasks import run_in_thread
from services.indicator.calendar import Calendar
from services.indicator.cells.recent import RecentMeasurements
from services.indicator.cells.slots import TargetColumns
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.error_budget import BurnCounter
from services.indicator.index.index import compute_indicators
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.structure import structure_by_window
from services.register.attribution import Attributor
from services.register.bus import follow_register, publish_register
from services.register.versions.rows import with_versions
from services.scorer.exchanges.reconciler import ReconciliationReport
from services.scorer.index.members import agency_members, evidence_groups
from services.scorer.index.results import CompiledRegister, IndexResult, PendingUpdate
from services.scorer.metrics import ScorerMetrics
from services.scorer.publishing.encode import BlockEncoder
from services.scorer.publishing.publisher import IndexPublisher
from services.scorer.publishing.recent import recent_blocks
from tests.bench.growth.points import point
from tests.bench.loads.synthetic import SLOT, UNHEARD, payloads, register_of
from tests.bench.meters.process import cpu_seconds, machine, peak_mib
from tests.support.nats import Nats, running_nats

__all__ = ["State", "judged", "publishing", "put"]

SLOTS = SLOTS_PER_BLOCK // 2  # in the chunk that is published: on average a chunk is half full
ROUNDS = 3
MANY_LINKS = 300_000  # beyond so many, one round is enough


@dataclass(frozen=True, slots=True)
class Spent:
    """What one part of a publication took: seconds, CPU seconds of this process and of nats-server."""

    seconds: float
    own: float
    server: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.own:.2f} s of CPU, nats-server {self.server:.2f} s)"


def publishing(links: int) -> Iterator[str]:
    """Publish an index of so many links slot by slot, and their register, and yield lines of figures."""
    yield f"publishing {links:,} links, one vantage, from {time.strftime('%F %T %Z')}"
    yield machine()
    register = register_of(links)
    yield from asyncio.run(_published(register))
    yield from asyncio.run(_register_published(register))
    yield f"  this process at its peak: {peak_mib(os.getpid()):,.0f} MiB"


@dataclass(frozen=True, slots=True)
class State:
    """What a scorer would publish for half a chunk of slots."""

    due: PendingUpdate
    result: IndexResult
    evidence: Evidence
    recent: RecentMeasurements
    burns: BurnCounter


def judged(register: Register) -> State:
    """Measure every link of a register but those of UNHEARD, slot by slot, and compute its index."""
    arrays, calendar, recent, burns = (
        RegisterArrays.of(register),
        Calendar.of(register.policy),
        RecentMeasurements(TargetColumns()),
        BurnCounter(SLOT),
    )
    network, own = AgencyNetwork.of(register, arrays), dict(agency_members(register, arrays))
    groups = evidence_groups(register, arrays)
    evidence, rng = Evidence(calendar), np.random.default_rng(5)
    start = calendar.epoch_slot // SLOTS_PER_BLOCK * SLOTS_PER_BLOCK + SLOTS_PER_BLOCK
    for payload in payloads(rng, arrays, start, but=UNHEARD):
        columns = decode_columns(payload)
        for later in range(SLOTS):  # the same batch in every slot, as others would have to be encoded and decoded
            at = replace(
                columns, slot_start=columns.slot_start + later * SLOT, time=columns.time + later * SLOT * 1_000_000
            )
            evidence.take(at)
        recent.take(at)
    end = start + SLOTS
    snapshot = compute_indicators(FrozenEvidence.of(arrays, evidence, end), evidence_sequence=1)
    list(burns.pieces(arrays, end, set(), lambda slots: evidence.verdict_pieces(arrays, slots)))
    compiled = CompiledRegister(register, arrays, network, own, groups, {}, Attributor(register))
    result = IndexResult(
        snapshot=snapshot,
        compiled=compiled,
        urgent={},
        structures=structure_by_window(arrays, network, snapshot),
    )
    due = PendingUpdate(compiled, end, 1, (range(start, end),), groups)
    return State(due, result, evidence, recent, burns)


async def put(publisher: IndexPublisher, state: State, as_of: int) -> None:
    """Publish all of it as of this moment. A slot later every block says something new."""
    due = replace(state.due, end_slot=as_of // SLOT)
    snapshot = replace(state.result.snapshot, as_of=as_of, end_slot=due.end_slot)
    publisher._slots.clear()
    for chunk in due.chunks:
        await publisher.put_slots(due, chunk, state.evidence, time.time(), run_in_thread)
    latest = recent_blocks(state.recent, state.burns, due.compiled.arrays, due.groups)
    await publisher.put_recent(due, latest, run_in_thread)
    await publisher.publish(BlockEncoder(replace(state.result, snapshot=snapshot), (), ReconciliationReport()))


async def _published(register: Register) -> list[str]:
    state = judged(register)
    own = state.due.compiled.members
    lines = []
    async with _bus() as (server, bus):
        publisher, rounds = IndexPublisher(bus), []
        for number in range(ROUNDS if len(register.links) <= MANY_LINKS else 1):
            meter = _Meter(server)
            await put(publisher, state, state.result.snapshot.as_of + number * SLOT)
            rounds.append(meter.spent())
        median = sorted(rounds, key=lambda one: one.seconds)[len(rounds) // 2]
        links = len(register.links)
        lines.append(f"  blocks of {len(own):,} agencies cut, encoded and put: {median}")
        lines.append(f"  CPU of this process a link: {median.own / links * 1e6:.1f} µs")
        lines.append(point("publishing", links, median.own))
        sizes = await _sizes(bus)
        lines.append(point("publishing_bytes", links, sum(size for _, size in sizes.values())))
        series = _series(state)
        lines += [f"  {series:,} series on the scorer's page of metrics", point("scorer_series", links, series)]
        lines += [f"  {name}: {count:,} values, {size / 2**20:,.1f} MiB" for name, (count, size) in sizes.items()]
    return lines


def _series(state: State) -> int:
    """Return how many series the scorer exposes, without those of exchanges."""
    registry, compiled, end = CollectorRegistry(), state.result.compiled, state.due.end_slot
    metrics = ScorerMetrics(registry)
    metrics.index(state.result)
    metrics.burns(compiled.arrays, state.burns)
    metrics.links(compiled, state.evidence.detail(compiled.arrays, range(end - 1, end)))
    return sum(len(family.samples) for family in registry.collect())


async def _register_published(register: Register) -> list[str]:
    """Publish a register and read it back."""
    register = with_versions(register)
    async with _bus(role="register") as (server, bus):
        meter = _Meter(server)
        await publish_register(bus, register, now=time.time())
        put = meter.spent()
        state = await bus._stream_info(kv_stream(REGISTER_BUCKET), {})
        await anext(follow_register(bus))
        got = meter.spent()
    return [
        f"  the register put: {put}; {state['state']['messages']:,} values, {state['state']['bytes'] / 2**20:,.1f} MiB",
        f"  the register read back and verified: {got}",
    ]


@asynccontextmanager
async def _bus(role: str = "scorer") -> AsyncIterator[tuple[Nats, Bus]]:
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        async with running_nats(Path(folder)) as server, server.connect(role) as bus:
            yield server, bus


class _Meter:
    """Times one part after another."""

    def __init__(self, server: Nats) -> None:
        assert server.process is not None
        self._pid = server.process.pid
        self._marks = self._now()

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_seconds(self._pid)

    def spent(self) -> Spent:
        """Return what was spent since the last call."""
        before, self._marks = self._marks, self._now()
        return Spent(*(now - then for now, then in zip(self._marks, before, strict=True)))


async def _sizes(bus: Bus) -> dict[str, tuple[int, int]]:
    """Return the number of values of each kind and their bytes. Parts count by the kind of their value."""
    found: dict[str, tuple[int, int]] = {}
    start = 1
    while some := await bus.read(kv_stream(INDICATOR_BUCKET), start):
        for message in some:
            words = message.subject.split(".")
            name = words[3] + ", as parts" if words[2] == "part" else words[2]
            count, size = found.get(name, (0, 0))
            if not message.deleted:
                found[name] = count + 1, size + len(message.data)
        start = some[-1].sequence + 1
    return dict(sorted(found.items()))


if __name__ == "__main__":
    for figure in publishing(int(sys.argv[1])):
        print(figure, flush=True)  # noqa: T201  # the parent reads this
