"""Measure how the cost of the scorer grows with the number of links, with synthetic registers and 5-minute slots.

The scorer's store writes a state of many days. Then a fresh process does what the scorer does: it starts from that
state, ingests measurements, and computes the index. Only the bus is left out, which tests.bench.publishing measures.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.core.bus import Bus, StoredMessage
from services.core.bus.evidence import columns_of
from services.core.bus.names import measurement_subject
from services.core.bus.stream_cursor import StreamCursor
from services.core.log import configure_logging, logger
from services.core.malloc import trim_memory
from services.core.model import StreamPosition
from services.core.model.indicator import IndicatorKind
from services.core.runtime import Health
from services.indicator.calendar import Calendar
from services.indicator.index.explain import explain_index
from services.indicator.index.what_if import Imputation
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, grouping, link_means, mean_share
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.health import ReadinessReporter
from services.scorer.index.results import CompiledRegister, IndexResult
from services.scorer.index.scoring import Scoring
from services.scorer.ingest.measurement_reader import MeasurementReader
from services.scorer.metrics import ScorerMetrics
from services.scorer.state.store import Store
from tests.bench.growth.points import point
from tests.bench.loads.scorer_state import OPEN_SLOTS, write_scorer_state
from tests.bench.loads.synthetic import SLOT, payloads, register_of
from tests.bench.meters.memory import Memory
from tests.bench.meters.process import machine
from tests.bench.meters.stalls import Stalls

__all__ = ["scale"]

SIZES = (10_000, 100_000, 1_000_000)
DAYS = 90
TAKEN_SLOTS = {10_000: 24, 100_000: 6, 1_000_000: 2}
EXPLAINED = 100
REPEATS = 7
T = TypeVar("T")


def scale(links: int | None, days: int | None) -> Iterator[str]:
    """Measure each size in its own process, so that its memory is counted by itself."""
    yield f"scale, slots of {SLOT} s, one vantage, from {time.strftime('%F %T %Z')}"
    yield machine()
    for size in SIZES if links is None else (links,):
        with tempfile.TemporaryDirectory(prefix="peyvand-bench-", dir=Path.cwd()) as folder:
            for part in ("write", "measure"):
                yield from _figures("tests.bench.scale", part, str(size), str(days or DAYS), folder)
        yield from _figures("tests.bench.publishing", str(size))


def _figures(*command: str) -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            yield line.rstrip()
    if process.returncode:
        yield f"{' '.join(command)} ended with {process.returncode}"


def write(links: int, days: int, data: Path) -> Iterator[str]:
    """Write a state, and say how large it is."""
    _, seconds = _timed(lambda: write_scorer_state(links, days, data))
    yield f"{links:,} links, {days} closed days, {OPEN_SLOTS} open slots"
    yield f"  made and written: {_kept(data) / 2**20:,.0f} MiB, {seconds:.1f} s, each day and slot synced by itself"


def measure(links: int, days: int, data: Path) -> Iterator[str]:
    """Do with the state what the scorer does, and yield lines of figures."""
    configure_logging("scorer", "warning")
    memory = Memory()
    yield f"  memory of the programs alone: {memory.now()}"
    register = register_of(links)
    yield f"  with the register as objects: {memory.now()}"
    store = Store(data, Calendar.of(register.policy))
    adopted, adopting = _timed(lambda: CompiledRegister.of(register))
    yield f"  register adopted as arrays: {adopting:.2f} s"
    loaded, reading = _timed(lambda: store.load(adopted.arrays.targets))
    yield f"  state read: {reading:.2f} s"
    assert loaded.manifest is not None
    scoring = Scoring(adopted, loaded, loaded.manifest.position)
    yield f"  memory then: {memory.now()}"
    with memory.watched():
        yield from asyncio.run(_scored(scoring, store, memory, days, adopting + reading))


async def _scored(scoring: Scoring, store: Store, memory: Memory, days: int, started: float) -> list[str]:
    """Score. ``started`` is the seconds that reading the state took."""
    lines = list[str]()
    evidence_lock = EvidenceLock()
    end_slot = scoring.manifest.end_slot
    assert end_slot is not None
    links = len(scoring.arrays.links)

    lines.append(point("evidence_bytes", links, _kept(store.folder)))
    begun = time.perf_counter()
    async with _part(memory, f"closed days judged anew ({days}), open slots, burn rates", lines):
        await evidence_lock.run_in_slices(scoring.prepare(end_slot))
        await asyncio.to_thread(trim_memory)
    async with _part(memory, "then every index of 7, 28 and 90 days", lines):
        result = await _judged(scoring, evidence_lock, end_slot)
    lines.append(point("restart", links, started + time.perf_counter() - begun))
    scoring.published(result.snapshot.end_slot)
    del result
    await _given_back(lines)
    lines.append(f"  memory at rest: {memory.now()}")
    lines.append(point("scorer_memory", links, memory.private()))

    feed, rng, slots = _Feed(), np.random.default_rng(5), TAKEN_SLOTS.get(links, 2)
    for slot in range(end_slot, end_slot + slots):
        feed.add(payloads(rng, scoring.arrays, slot), (slot + 1) * SLOT)
    reader = MeasurementReader(
        scoring,
        evidence_lock,
        metrics=ScorerMetrics(CollectorRegistry()),
        readiness=ReadinessReporter(Health()),
        log=logger(),
    )
    async with _part(memory, f"{slots * links:,} measurements decoded, taken in and saved", lines) as spent:
        reading = asyncio.create_task(reader.run(feed, len(feed.messages)))
        caught_up = asyncio.create_task(reader.caught_up.wait())
        await asyncio.wait({reading, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        assert caught_up.done(), reading.exception()
        await _save(scoring, store, evidence_lock)
        taken = spent()
    reading.cancel()
    await asyncio.wait({reading})
    lines.append(point("take_in", links, taken[1] / slots))
    lines.append(point("take_in_bytes", links, sum(len(message.data) for message in feed.messages) / slots))
    lines.append(f"  that is {slots * links / taken[0]:,.0f} a second, {slots * links / taken[1]:,.0f} of CPU")
    end_slot += slots
    await evidence_lock.run_in_slices(scoring.prepare(end_slot - 1))
    scoring.published((await _judged(scoring, evidence_lock, end_slot - 1)).snapshot.end_slot)
    async with _part(memory, "after one more slot: counted, every index", lines):
        await evidence_lock.run_in_slices(scoring.prepare(end_slot))
        result = await _judged(scoring, evidence_lock, end_slot)
    scoring.published(result.snapshot.end_slot)
    async with _part(memory, "what changed saved", lines):
        await _save(scoring, store, evidence_lock)

    columns = result.snapshot.links[DAYS]
    shares = LinkShares.of(scoring.arrays, columns.slots, columns.counts, columns.paper)
    imputation = Imputation.of(shares)
    chosen = [scoring.arrays.links[at] for at in rng.integers(0, links, EXPLAINED)]
    _, seconds = _timed(partial(_explained, shares, imputation, chosen))
    lines.append(f"  one link explained: {seconds / EXPLAINED * 1000:.1f} ms")
    cpu = time.process_time()
    took = [_timed(partial(_points, scoring.arrays, columns.slots, columns.counts))[1] for _ in range(REPEATS)]
    cpu = time.process_time() - cpu
    lines.append(
        f"  points and bounds alone, of every kind over one window: {median(took) * 1000:.1f} ms"
        f" ({min(took) * 1000:.1f} to {max(took) * 1000:.1f}; {cpu / REPEATS * 1000:.1f} ms of CPU)"
    )
    lines.append(point("points", links, median(took)))
    lines.append(point("points_bytes", links, columns.slots.nbytes + columns.counts.nbytes))
    last = columns_of(feed.messages[-1])
    messages = len(feed.messages)
    del result, columns, shares, imputation, feed, reader, reading
    await _given_back(lines)
    lines.append(f"  memory at rest: {memory.now()}")

    # A day closes once grace has passed.
    scoring.take(
        last, stored=float((end_slot + OPEN_SLOTS) * SLOT + scoring.register.policy.grace_seconds), sequence=messages
    )
    async with _part(memory, "a day closed", lines):
        await evidence_lock.run_in_slices(scoring.close())
    lines.append(f"  memory at its peak: {memory.peak()}")
    lines.append(f"  on disk: {_kept(store.folder) / 2**20:,.0f} MiB kept, {_derived() / 2**20:,.0f} MiB derived")
    return lines


async def _judged(scoring: Scoring, evidence_lock: EvidenceLock, end_slot: int) -> IndexResult:
    count = await evidence_lock.run(partial(scoring.count, end_slot))
    return await asyncio.to_thread(scoring.compute, count)


async def _save(scoring: Scoring, store: Store, evidence_lock: EvidenceLock) -> None:
    save = scoring.save()
    assert save is not None
    await asyncio.to_thread(store.save, save)
    await evidence_lock.run(partial(store.release, scoring.evidence))


async def _given_back(lines: list[str]) -> None:
    _, seconds = await asyncio.to_thread(_timed, trim_memory)
    lines.append(f"  free memory given back: {seconds:.2f} s")


@asynccontextmanager
async def _part(memory: Memory, name: str, lines: list[str]) -> AsyncIterator[Callable[[], tuple[float, float]]]:
    """Report what a part took, how long the loop stalled during it, and its peak memory."""
    memory.begin()
    begun, cpu = time.perf_counter(), time.process_time()

    def spent() -> tuple[float, float]:
        return time.perf_counter() - begun, time.process_time() - cpu

    async with Stalls() as stalls:
        yield spent
    wall, own = spent()
    lines.append(
        f"  {name}: {wall:.2f} s ({own:.2f} s of CPU), the loop stood still for {stalls} at most; {memory.part()} at most"
    )


class _Feed(StreamCursor):
    """A stream that holds some messages and nothing else."""

    def __init__(self) -> None:
        self.messages: list[StoredMessage] = []
        self.bus = cast("Bus", None)  # never used: batches name targets of the register in force

    def add(self, batches: Iterator[bytes], stored: float) -> None:
        for batch in batches:
            subject = measurement_subject("main", "0")
            self.messages.append(StoredMessage(len(self.messages) + 1, subject, batch, stored))

    async def read(self, position: StreamPosition, *, limit: int, now: float) -> list[StoredMessage]:
        del now
        return self.messages[position.sequence : position.sequence + limit]


def _explained(shares: LinkShares, imputation: Imputation, links: Sequence[str]) -> None:
    for link in links:
        explain_index(shares, imputation, IndicatorKind.LINK, link)


def _points(arrays: RegisterArrays, slots: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    shares = LinkShares.of(arrays, slots, counts, np.zeros_like(slots))
    link_means(shares)
    for kind in (
        IndicatorKind.SERVICE,
        IndicatorKind.CONSUMER,
        IndicatorKind.PROVIDER,
        IndicatorKind.SECTOR,
        IndicatorKind.GOVERNMENT,
    ):
        ids, group, weight = grouping(shares, kind)
        mean_share(shares, group, weight, len(ids))


def _kept(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _derived() -> int:
    """Return the bytes of files without a name that this process has mapped."""
    rows = [row.split(maxsplit=5) for row in Path("/proc/self/maps").read_text("utf-8").splitlines()]
    spans = [row[0].split("-") for row in rows if len(row) == 6 and row[5].endswith("(deleted)")]
    return sum(int(end, 16) - int(start, 16) for start, end in spans)


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


if __name__ == "__main__":
    for figure in {"write": write, "measure": measure}[sys.argv[1]](
        int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    ):
        print(figure, flush=True)  # noqa: T201  # the parent reads this
