"""Simulate one month from its seed."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from services.archive import component as archive_component
from services.dataset.days import log_files, manifest, segments
from services.dataset.storage import Storage
from services.dataset.tables import files
from services.prober.publishing import publisher
from services.scorer import refresher
from services.scorer.archived import day_files, restoring
from services.scorer.ingest import measurement_reader, repair
from tests.simulation.archive import Archive, storage_of
from tests.simulation.bus import Bus
from tests.simulation.component import World
from tests.simulation.disk import Disk
from tests.simulation.faults import Faults
from tests.simulation.judge import Judge
from tests.simulation.prober import Prober
from tests.simulation.record import Record
from tests.simulation.scorer import Scorer
from tests.simulation.shape import DAY, SETTLING_DAYS, Shape, Truth, draw_shape
from tests.simulation.virtual_time import VirtualLoop


@dataclass(frozen=True, slots=True)
class Month:
    """The result of a month.

    ``faults`` are sentences with the moment. ``counts`` is by event. ``digest`` is a hash of the log.
    """

    seed: int
    faults: tuple[str, ...]
    counts: Counter[str]
    digest: str
    cpu_seconds: float
    log: tuple[str, ...]


def simulate(seed: int) -> Month:
    """Simulate the month of a seed."""
    pa.set_cpu_count(1)
    began = time.process_time()
    rng = random.Random(seed)
    shape = draw_shape(rng)
    folder = Path(tempfile.mkdtemp(prefix="peyvand-simulation-", dir=_memory()))
    loop = VirtualLoop(shape.start - 60.0, lambda: rng.choice([0.0, 0.0, 1.0, 30.0]))
    record = Record()
    disk = Disk(folder, rng)
    bus = Bus(loop, rng, shape.trouble)
    world = World(loop, shape, shape.compiled(), Truth(shape, rng), bus, disk, record, storage_of(shape, disk))
    bus.stored, bus.destroyed = record.stored, record.destroyed
    try:
        with ExitStack() as stack:
            stack.enter_context(loop.everywhere())
            stack.enter_context(disk.installed())
            stack.enter_context(_paces(shape, world.storage))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", ResourceWarning)
            faults = tuple(loop.run_until_complete(_live(world, rng)))
    finally:
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)
    bus.counts["messages"] = len(record.entries)
    bus.counts["operations of disks"] = sum(disk.operations.values())
    return Month(seed, faults, bus.counts, record.digest, time.process_time() - began, tuple(record.log))


def _memory() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None


async def _live(world: World, rng: random.Random) -> list[str]:
    shape, judge = world.shape, Judge(world)
    probers = [Prober(world, vantage, random.Random(rng.random())) for vantage in shape.vantages]
    scorer = Scorer(world, random.Random(rng.random()))
    archive = Archive(world, random.Random(rng.random())) if shape.archives else None
    faults = Faults(world, probers, scorer, archive, random.Random(rng.random()))
    faults.schedule()
    for prober in probers:
        prober.until = shape.end + (SETTLING_DAYS - 1) * DAY
    broken: list[str] = []
    world.loop.set_exception_handler(
        lambda _, about: broken.append(repr(about.get("exception"))) if "handle" in about else None
    )
    lives = [asyncio.ensure_future(one.live()) for one in faults.components]
    found: list[str] = []
    moments = sorted(rng.uniform(shape.start, shape.end) for _ in range(1))
    for moment in moments:
        await asyncio.sleep(moment - world.loop.time())
        found += [f"after {(moment - shape.start) / DAY:.2f} days: {fault}" for fault in judge.moment(scorer)]
        if found or any(one.failure for one in faults.components):
            break
    else:
        await asyncio.sleep(shape.end - world.loop.time())
        faults.end()
        scorer.publish_soon()
        await asyncio.sleep(SETTLING_DAYS * DAY)
        if archive is not None:
            await archive.stop()
        found += [f"at the end: {fault}" for fault in judge.end(probers, scorer, archive)]
    found += [f"the simulation itself failed: {error}" for error in broken]
    found += [f"{one.name} failed: {one.failure!r}" for one in faults.components if one.failure]
    for one in faults.components:
        one.kill(0.0)
        world.bus.counts.update({f"ends by {name}": count for name, count in one.ends.items()})
    for life in lives:
        life.cancel()
    await asyncio.sleep(60.0)
    for one in faults.components:
        one.release()
    return found


@contextmanager
def _paces(shape: Shape, storage: Storage) -> Iterator[None]:
    """Let components poll at the pace of the simulation's slots, which are long."""
    seconds = float(shape.register["slot_seconds"])
    paces: dict[ModuleType, dict[str, object]] = {
        publisher: {"_RETRY_SECONDS": seconds / 10},
        measurement_reader: {"READ_POLL_SECONDS": seconds / 2, "POLL_SECONDS": seconds / 10},
        refresher: {
            "POLL_SECONDS": shape.index_seconds,
            "IDLE_SECONDS": shape.index_seconds,
            "trim_memory": lambda: None,
        },
        archive_component: {
            "_POLL_SECONDS": seconds / 2,
            "_SEAL_SECONDS": seconds,
            "_RETRY_SECONDS": seconds / 4,
        },
        log_files: {"read_leaf": lru_cache(manifest.read_leaf)},  # the same bytes are read again and again
        segments: {"read": lru_cache(files.read)},
        repair: {"open_storage": lambda _: storage},
        restoring: {"open_storage": lambda _: storage},
        day_files: {"open_storage": lambda _: storage},
    }
    with pytest.MonkeyPatch.context() as patch:
        for module, values in paces.items():
            for name, value in values.items():
                patch.setattr(module, name, value)
        yield
