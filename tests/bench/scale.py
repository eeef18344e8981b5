"""How the scorer's evidence and the index grow with the number of links: synthetic registers, days of 5-minute slots."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.core.codec import decode_columns, encode_measurements
from services.core.errors import BusError
from services.core.evidence import Kind, Measurement
from services.core.model import ALWAYS, Agency, Government, Link, Policy, Register, Service, Vantage
from services.core.outcome import Outcome, Reason
from services.indicator.calendar import Calendar
from services.indicator.explain import explain
from services.indicator.fixed import Imputation
from services.indicator.frame import Frame
from services.indicator.index import indicators
from services.indicator.packed import DayState
from services.indicator.record import Record
from services.indicator.shares import link_shares
from services.indicator.window import Evidence
from services.scorer.membership import members
from services.scorer.publish import Publisher
from services.scorer.scoring import Judgement
from tests.bench.process import machine
from tests.conftest import running_nats

__all__ = ["scale"]

SIZES = {10_000: 90, 100_000: 90, 1_000_000: 7}  # days each: what a day costs does not depend on how many there are
SLOT = 300
LONGEST = 90
BATCH = 500
DISTINCT_DAYS = 3  # packed days are copies of so many, each in memory of its own
EXPLAINED = 100
INGEST_SECONDS = 10.0
_REASONS = {Outcome.OK: Reason.OK, Outcome.NOT_CONNECTED: Reason.CONNECT_REFUSED}
T = TypeVar("T")


def scale(links: int | None, days: int | None) -> Iterator[str]:
    """Measure each size in a process of its own, so that its memory is its own."""
    yield f"scale, slots of {SLOT} s, one vantage, from {time.strftime('%F %T %Z')}"
    yield machine()
    for size in SIZES if links is None else (links,):
        command = [sys.executable, "-m", "tests.bench.scale", str(size), str(days or SIZES.get(size, LONGEST))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                yield line.rstrip()


def one_size(links: int, days: int) -> Iterator[str]:
    """Measure one size; every line is a figure."""
    yield f"{links:,} links"
    begun_rss = _rss_mib()
    register = _register(links)
    yield f"  register as objects: {_rss_mib() - begun_rss:,.0f} MiB"
    with_register = _rss_mib()
    frame, taken = _timed(lambda: Frame.of(register))
    yield f"  adopted as arrays: {taken:.2f} s"
    calendar = Calendar.of(register.policy)
    evidence = _closed(calendar, frame, days)
    yield f"  its arrays, and {days} closed days as stages: {_rss_mib() - with_register:,.0f} MiB"

    first = calendar.slots_of(calendar.day_of(calendar.epoch_slot) + timedelta(days=days)).start
    rng = np.random.default_rng(5)
    slots, seconds = 0, 0.0
    while slots < 3 or (seconds < INGEST_SECONDS and slots < 12):
        for payload in _payloads(rng, frame, first + slots):
            begun = time.perf_counter()
            evidence.take(decode_columns(payload))
            seconds += time.perf_counter() - begun
        slots += 1
    yield f"  taken in: {slots * links / seconds:,.0f} measurements/s, decoding included"

    end, record = first + slots, Record()
    _, taken = _timed(lambda: sum(1 for _ in evidence.prepare(frame)))
    yield f"  all {days} days judged by another register: {taken:.1f} s, {taken / days:.2f} s a day"
    _, taken = _timed(lambda: indicators(frame, evidence, end_slot=end, record=record))
    yield f"  then every index of 7, 28 and 90 days: {taken:.2f} s"
    for payload in _payloads(rng, frame, end):
        evidence.take(decode_columns(payload))
    snapshot, taken = _timed(lambda: indicators(frame, evidence, end_slot=end + 1, record=record))
    yield f"  after one more slot: {taken:.2f} s"
    yield f"  memory in all: {_rss_mib():,.0f} MiB, at the peak {_peak_mib():,.0f} MiB"

    columns = snapshot.links[LONGEST]
    shares = link_shares(frame, columns.slots, columns.counts)
    imputation = Imputation.of(frame, shares)
    chosen = [frame.links[at] for at in rng.integers(0, links, EXPLAINED)]
    _, taken = _timed(lambda: [explain(frame, shares, imputation, Kind.LINK, link) for link in chosen])
    yield f"  one link explained: {taken / EXPLAINED * 1000:.1f} ms"

    own, taken = _timed(lambda: dict(members(register, frame)))
    yield f"  members of {len(own):,} agencies: {taken:.2f} s"
    judgement = Judgement(snapshot=snapshot, register=register, frame=frame, members=own, chunks=())
    try:
        taken, payload = asyncio.run(_published(judgement))
    except BusError as error:
        yield f"  not published: {error}"
    else:
        yield f"  encoded and put on the bus: {taken:.1f} s, {payload / 2**20:,.0f} MiB"


async def _published(judgement: Judgement) -> tuple[float, int]:
    """Publish to a real server of its own; seconds taken and the bytes that the bucket holds then."""
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        async with running_nats(Path(folder)) as server, server.connect("scorer") as bus:
            begun = time.perf_counter()
            await Publisher(bus).publish(judgement, (), (), ())
            taken = time.perf_counter() - begun
            return taken, sum(file.stat().st_size for file in Path(folder).rglob("*.blk"))


def _register(links: int) -> Register:
    """A hundred links of ten services for each agency, spread over ten sectors."""
    agencies = [f"agency-{one:05d}" for one in range(max(2, links // 100))]
    services = [f"service-{one:06d}" for one in range(links // 10)]
    return Register(
        agencies={one: Agency(one, one, one, f"sector-{at % 10}") for at, one in enumerate(agencies)},
        services={one: Service(one, agencies[at % len(agencies)], one, one) for at, one in enumerate(services)},
        links={
            name: Link(
                id=name,
                service=services[at % len(services)],
                provider=agencies[(at % len(services) + 1 + at // len(services)) % len(agencies)],
                data_item=f"item-{at // len(services)}",
                live_from=ALWAYS,
            )
            for at, name in ((at, f"link-{at:07d}") for at in range(links))
        },
        endpoints={},
        probes={},
        policy=Policy(
            government=Government("gov", "", ""),
            timezone="UTC",
            epoch=datetime(2026, 1, 1, tzinfo=UTC),
            vantages=(Vantage("main"),),
        ),
        register_version="r" * 64,
        probe_version="p" * 64,
    )


def _closed(calendar: Calendar, frame: Frame, days: int) -> Evidence:
    """Evidence of closed days: of a link one outage a week of an hour on average, one slot in 300 unknown."""
    rng = np.random.default_rng(3)
    first = calendar.day_of(calendar.epoch_slot)
    per_day = len(calendar.slots_of(first))
    packed = [DayState.pack(first, _stages(rng, len(frame.links), per_day)) for _ in range(min(DISTINCT_DAYS, days))]
    states = (
        DayState(
            first + timedelta(days=at),
            packed[at % len(packed)].shape,
            bytes(bytearray(packed[at % len(packed)].stages)),
        )
        for at in range(days)
    )
    return Evidence.restore(calendar, targets=frame.targets, vantages=("main",), slots=(), days=states)


def _stages(rng: np.random.Generator, links: int, slots: int) -> NDArray[np.int8]:
    stages = np.full((1, links, slots), 5, dtype=np.int8)
    outages = rng.poisson(links / 7)
    link, start, length = (
        rng.integers(0, links, outages),
        rng.integers(0, slots, outages),
        1 + rng.exponential(12, outages),
    )
    for one, begin, last, stage in zip(link, start, length.astype(int), rng.integers(0, 5, outages), strict=True):
        stages[0, one, begin : begin + last] = stage
    gaps = links * slots // 300
    stages[0, rng.integers(0, links, gaps), rng.integers(0, slots, gaps)] = -1
    return stages


def _payloads(rng: np.random.Generator, frame: Frame, slot: int) -> Iterator[bytes]:
    """One slot of every link, in batches as probers send them."""
    for start in range(0, len(frame.links), BATCH):
        targets = frame.targets[start : start + BATCH]
        outcome = rng.choice([Outcome.OK, Outcome.NOT_CONNECTED], len(targets), p=[0.99, 0.01]).tolist()
        yield encode_measurements(
            [
                Measurement(target, "main", slot * SLOT, slot * SLOT + at / BATCH, Outcome(one), _REASONS[one], 0.05)
                for at, (target, one) in enumerate(zip(targets, outcome, strict=True))
            ]
        )


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    for figure in one_size(int(sys.argv[1]), int(sys.argv[2])):
        print(figure, flush=True)  # noqa: T201  # the parent reads this
