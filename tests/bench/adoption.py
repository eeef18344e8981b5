"""Measure how long a prober's event loop stalls while it reads a new register from the bus."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from services.register.bus import follow_register, publish_register
from services.register.directory import load_register
from tests.bench.loads.register import write_register
from tests.bench.meters.process import machine
from tests.bench.meters.stalls import Stalls
from tests.support.nats import running_nats

__all__ = ["adoption"]

_ROUNDS = 5
_FULL_COLLECTION = 1000
"""Collections of the second generation per one of the third, as in the prober."""


def adoption(links: int) -> Iterator[str]:
    """Publish a register of so many links on a new bus, and yield what reading it costs an event loop."""
    yield machine()
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], _FULL_COLLECTION)
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder, asyncio.Runner() as runner:
        rounds = _rounds(Path(folder), links)
        while found := runner.run(anext(rounds, None)):
            yield found
    gc.set_threshold(*before)


async def _rounds(folder: Path, links: int) -> AsyncIterator[str]:
    files = write_register(
        folder / "register", "https://127.0.0.1:1", "tcp://127.0.0.1:1", folder / "ca.pem", links, 300
    )
    register = load_register(files)
    async with running_nats(folder) as nats, nats.connect("register") as writer, nats.connect("prober") as reader:
        started = time.perf_counter()
        await publish_register(writer, register, now=0.0)
        yield f"publishing a register of {links:,} links: {time.perf_counter() - started:.2f} s"
        longest, seconds = [], []
        for _ in range(_ROUNDS):
            versions = follow_register(reader)
            started = time.perf_counter()
            async with Stalls() as stalls:
                read = await anext(versions)
                seconds.append(time.perf_counter() - started)
            assert read == register
            longest.append(stalls)
        yield f"reading it: {sorted(seconds)[_ROUNDS // 2]:.2f} s"
        worst = max(longest, key=lambda stalls: stalls.longest)
        median = sorted(longest, key=lambda stalls: stalls.longest)[_ROUNDS // 2]
        yield f"longest stall on adopting a register of {links:,} links: {median} in the median of {_ROUNDS}, {worst} at most"
