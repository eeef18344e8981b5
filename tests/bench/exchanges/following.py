"""Measure a collector that follows an exchange log as it grows, as on the bus of a country."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from services.register.bus.publish import publish_register
from services.register.versions.rows import with_versions
from tests.bench.component import Component, component
from tests.bench.loads.exchange_records import line
from tests.bench.loads.synthetic import register_of
from tests.bench.meters.process import cpu_seconds, machine, peak_mib
from tests.bench.meters.scrape import scrape, since
from tests.support.nats import running_nats

__all__ = ["following"]

_LINKS = 10_000
_STARTED_SECONDS = 20.0
"""How long the log has grown when measuring begins."""
_EVERY_SECONDS = 0.1
_ENDED_MS = 2000
"""How long ago an exchange was that is logged now."""
_AIM = 0.05
_SOURCES = "sources:\n  - {id: logs, kind: files, path: log.ndjson, every: 5s}\n"


async def _grow(log: Path, rate: int, seconds: float, first: int) -> int:
    """Write ``rate`` records a second, from exchange ``first`` on; return the exchange after the last one."""
    begun, written = time.monotonic(), first
    with log.open("ab") as out:
        while (passed := time.monotonic() - begun) < seconds:
            due = first + int(passed * rate / 2)
            moment = int(time.time() * 1000) - _ENDED_MS
            for exchange in range(written, due):
                out.writelines(line(exchange, producer=producer, moment=moment) for producer in (False, True))
            out.flush()
            written = due
            await asyncio.sleep(_EVERY_SECONDS)
    return written


async def _records(collector: Component) -> float:
    """Return how many records it has read, and that each of them counts."""
    samples = await asyncio.to_thread(scrape, collector.page)
    read, *wrong = (
        since({}, samples, f"peyvand_exchange_{what}_total")[""]
        for what in ("records", "rejected", "duplicates", "expired")
    )
    assert not any(wrong), wrong
    return read


async def _follow(folder: Path, rate: int, seconds: float) -> list[str]:
    log, sources = folder / "log.ndjson", folder / "sources.yaml"
    log.touch()
    sources.write_text(_SOURCES)
    async with running_nats(folder / "nats") as nats:
        async with nats.connect("register") as bus:
            await publish_register(bus, with_versions(register_of(_LINKS)), now=time.time())
        with component("collector", nats, folder, data=folder / "collector", sources=sources) as collector:
            await collector.serving()
            written = await _grow(log, rate, _STARTED_SECONDS, 0)
            read, used, began = await _records(collector), cpu_seconds(collector.pid), time.monotonic()
            await _grow(log, rate, seconds, written)
            took, cpu = time.monotonic() - began, cpu_seconds(collector.pid) - used
            records = await _records(collector) - read
            peak = peak_mib(collector.pid)
    met = "met" if cpu / took <= _AIM else "MISSED"
    return [
        f"{records / took:.0f} records/s of {rate} in {took:.0f} s: {cpu / took:.2%} of a core, aim {_AIM:.0%}: {met}",
        f"{cpu / records * 1e6:.0f} µs of CPU per record; {peak:.0f} MiB at the peak",
    ]


def following(rate: int, seconds: float) -> Iterator[str]:
    """Measure a collector whose log grows by ``rate`` records a second, for ``seconds``."""
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        yield from asyncio.run(_follow(Path(folder), rate, seconds))
