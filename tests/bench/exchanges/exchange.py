"""Measure what it costs to turn exchange logs into published summaries: CPU by stage, and memory.

Run it by ``python -m tests.bench exchange``. One process does what the collector does, with its ledger on disk and a
real nats-server. Changed summaries are published every FLUSH_SECONDS while the log is read, and the rest at its end.
CPU is that of the process with all its threads. The CPU of the server is given beside it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from services.collector.component import collect_seldom
from services.collector.files.log_file import TAKE_LINES, LogFile
from services.collector.ledger import summary_rows as rows
from services.collector.ledger.ledger import Ledger
from services.collector.publisher import SUMMARIES_PER_READ, messages
from services.core.bus import Bus
from services.core.malloc import map_large_blocks, share_arena
from services.core.model.register import FLUSH_SECONDS
from tests.bench.growth.points import point
from tests.bench.loads.exchange_records import PAIRS, write_log
from tests.bench.meters.process import cpu_seconds, machine
from tests.support.nats import Nats, running_nats
from tests.support.processes import end_with_parent

__all__ = ["exchange"]

_STAGES = ("decode", "pair", "summarise", "publish")


class _Stages:
    """Seconds of CPU by stage. The time of an inner stage does not count for the outer one."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(_STAGES, 0.0)

    def time(self, stage: str, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        before, start = sum(self.spent.values()), time.process_time()
        try:
            return work(*args, **options)
        finally:
            inner = sum(self.spent.values()) - before
            self.spent[stage] += time.process_time() - start - inner


async def _flush(bus: Bus, ledger: Ledger, stages: _Stages) -> int:
    """Publish the changed summaries, and return their number."""
    before, start, sent = sum(stages.spent.values()), time.process_time(), 0
    while pending := ledger.unpublished(SUMMARIES_PER_READ):
        for message in messages("xroad", "", pending):
            await bus.publish(message.subject, message.payload, message_id=message.id)
            ledger.acknowledge(message.summaries)
            sent += len(message.summaries)
    stages.spent["publish"] += time.process_time() - start - (sum(stages.spent.values()) - before)
    return sent


async def _digest(log: Path, folder: Path, nats: Nats) -> dict[str, float]:
    share_arena()
    map_large_blocks()
    stages = _Stages()
    add_counts = rows.add_counts
    rows.add_counts = lambda *args: stages.time("summarise", add_counts, *args)  # the ledger calls it by its module
    read = sent = 0
    began, now_ms = time.perf_counter(), int(time.time() * 1000)
    async with nats.connect("collector") as bus:
        start, due = time.process_time(), time.monotonic() + FLUSH_SECONDS
        with Ledger(folder / "collector.sqlite", 300, now_ms=now_ms) as ledger:
            collect_seldom()
            batches = LogFile(log).batches(size=TAKE_LINES)
            while (batch := stages.time("decode", next, batches, None)) is not None:
                read += stages.time("pair", ledger.take, "log", batch, now_ms=now_ms + 10**12).read
                if time.monotonic() >= due:
                    sent += await _flush(bus, ledger, stages)
                    due = time.monotonic() + FLUSH_SECONDS
            sent += await _flush(bus, ledger, stages)
            totals = ledger.totals()
        cpu = time.process_time() - start
    assert (totals.exchanges, totals.orphans, totals.unpublished) == (read // 2, read // 100, 0), totals
    return stages.spent | {
        "records": read,
        "cpu": cpu,
        "took": time.perf_counter() - began,
        "summaries": sent,
        "rss": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }


def _child(log: Path, folder: Path, nats: Nats) -> dict[str, float]:
    end_with_parent()
    return asyncio.run(_digest(log, folder, nats))


async def _measure(records: int, folder: Path) -> tuple[dict[str, float], float]:
    """Return what one log costs a process that does nothing else, and the CPU seconds of its nats-server."""
    log = folder / "log.ndjson"
    size = write_log(log, records)
    async with running_nats(folder / "nats") as nats:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
            where = Nats(nats.folder, nats.port)
            found = await asyncio.get_running_loop().run_in_executor(apart, _child, log, folder, where)
        assert nats.process is not None
        return found | {"bytes": size / records}, cpu_seconds(nats.process.pid)


def exchange(sizes: Sequence[int]) -> Iterator[str]:
    """Measure logs of so many records each."""
    yield machine()
    yield f"{PAIRS} pairs, logs shuffled by the million, 1 % orphans, 1 % repeated; µs of CPU per record"
    yield (
        f"{'records':>11}{'bytes':>7}"
        + "".join(f"{name:>11}" for name in _STAGES)
        + (f"{'together':>10}{'records/s of a core':>21}{'summaries':>11}{'nats-server':>13}{'peak RSS, MiB':>15}")
    )
    for records in sizes:
        with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
            found, server = asyncio.run(_measure(records, Path(folder)))
        each = "".join(f"{found[name] / records * 1e6:>11.1f}" for name in _STAGES)
        cpu, told = found["cpu"], f"{found['summaries']:>11,.0f}{server / records * 1e6:>13.1f}{found['rss']:>15.0f}"
        yield point("exchange", records, cpu)
        yield point("exchange_bytes", records, found["bytes"] * records)
        yield f"{records:>11,}{found['bytes']:>7.0f}{each}{cpu / records * 1e6:>10.1f}{records / cpu:>21,.0f}{told}"
