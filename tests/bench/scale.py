"""How the scorer's evidence and the index grow with the number of links: synthetic registers, days of 5-minute slots."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.core.codec import decode_columns
from services.core.evidence import Kind
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
from tests.bench.process import machine
from tests.bench.synthetic import SLOT, payloads, register_of

__all__ = ["scale"]

SIZES = {10_000: 90, 100_000: 90, 1_000_000: 7}  # days each: what a day costs does not depend on how many there are
LONGEST = 90
DISTINCT_DAYS = 3  # packed days are copies of so many, each in memory of its own
EXPLAINED = 100
INGEST_SECONDS = 10.0
T = TypeVar("T")


def scale(links: int | None, days: int | None) -> Iterator[str]:
    """Measure each size in a process of its own, so that its memory is its own."""
    yield f"scale, slots of {SLOT} s, one vantage, from {time.strftime('%F %T %Z')}"
    yield machine()
    for size in SIZES if links is None else (links,):
        command = [sys.executable, "-m", "tests.bench.scale", str(size), str(days or SIZES.get(size, LONGEST))]
        yield from _figures(command)
        yield from _figures([sys.executable, "-m", "tests.bench.publishing", str(size)])


def _figures(command: list[str]) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            yield line.rstrip()


def one_size(links: int, days: int) -> Iterator[str]:
    """Measure one size; every line is a figure."""
    yield f"{links:,} links"
    begun_rss = _rss_mib()
    register = register_of(links)
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
        for payload in payloads(rng, frame, first + slots):
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
    for payload in payloads(rng, frame, end):
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
