"""Measure what answers cost a real api process with an index of any size, and its clients on the same cores."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.core.bus.roles import write_users
from services.core.bus.server import server_configuration, write_configuration
from services.core.bus.topology import initialise_streams
from services.register.bus.publish import publish_register
from services.register.versions.rows import with_versions
from services.scorer.publishing.publisher import IndexPublisher
from tests.bench.component import Component, component
from tests.bench.growth.points import point
from tests.bench.loads.synthetic import SLOT, register_of
from tests.bench.meters.process import cpu_seconds, machine, peak_mib, resident_mib
from tests.bench.publishing import State, judged, put
from tests.support.nats import Nats
from tests.support.ports import free_port

__all__ = ["answering", "api", "spread_of"]

SECONDS = 15
INFLIGHT = (8, 32)
EXPLAINED = 200
WATCHERS = 1000
UPDATES = 20
WATCHED_LINKS = 1_000
PAUSE_SECONDS = 0.5


def api(links: int) -> Iterator[str]:
    """Measure the api with an index of so many links, and yield lines of figures."""
    yield f"api over {links:,} links, from {time.strftime('%F %T %Z')}"
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        yield from asyncio.run(_answers(links, Path(folder) / "answers"))
        yield from asyncio.run(_watched(Path(folder) / "watched"))


@asynccontextmanager
async def answering(links: int, folder: Path) -> AsyncIterator[tuple[Component, str, IndexPublisher, State]]:
    """Run a real api process that serves an index of so many links. Yields it, its address, a publisher and state."""
    register = with_versions(register_of(links))
    async with _nats(folder) as nats, nats.connect("scorer") as bus:
        async with nats.connect("register") as writer:
            await publish_register(writer, register, now=time.time())
        state, publisher = judged(register), IndexPublisher(bus)
        await put(publisher, state, state.result.snapshot.as_of)
        address = f"127.0.0.1:{free_port()}"
        with component("api", nats, folder, listen=address, **{"peer-calls": WATCHERS}) as process:
            await process.serving()
            yield process, address, publisher, state


async def _answers(links: int, folder: Path) -> list[str]:
    async with answering(links, folder) as (process, address, publisher, state):
        as_of = state.result.snapshot.as_of
        lines = [f"  taken in with {cpu_seconds(process.pid):.1f} s of CPU; {_memory(process.pid)}"]
        for inflight in INFLIGHT:
            before = cpu_seconds(process.pid)
            found = await _asked(address, "get", links, SECONDS, inflight)
            spent = cpu_seconds(process.pid) - before
            lines.append(
                f"  GetIndicator of links at random, {inflight} at once: {found['calls'] / spent:,.0f} a CPU second of"
                f" the api, {found['calls'] / found['seconds']:,.0f}/s; {_spread(found)}"
            )
            if inflight == INFLIGHT[0]:
                lines.append(point("api_call", links, spent / found["calls"] * 1e6))
        for what in ("at first", "after a refresh"):
            # The links of the one service that nobody measures are a tenth of all links apart.
            for whose, step in (("", 1), (" of a service that nobody measures", links // 10)):
                found = await _asked(address, "explain", links, EXPLAINED, step)
                lines.append(
                    f"  ExplainIndicator of a link{whose} {what}: {found['first']:.1f} ms, then {_spread(found)}"
                )
            before = cpu_seconds(process.pid)
            as_of += SLOT
            await put(publisher, state, as_of)
        lines.append(
            f"  a refresh taken in with {cpu_seconds(process.pid) - before:.2f} s of CPU; {_memory(process.pid)}"
        )
        lines.append(point("api_memory", links, peak_mib(process.pid)))
    return lines


async def _watched(folder: Path) -> list[str]:
    """Publish a small index again and again, with nobody watching and with everybody."""
    spent, took = [], list[float]()
    async with answering(WATCHED_LINKS, folder) as (process, address, publisher, state):
        as_of = state.result.snapshot.as_of
        for watchers in (0, WATCHERS):
            clients = await _watching(address, watchers) if watchers else None
            if clients is not None:
                await _heard(clients)  # all have the current index
            await asyncio.sleep(PAUSE_SECONDS)
            before = cpu_seconds(process.pid)
            for _ in range(UPDATES):
                as_of += SLOT
                await put(publisher, state, as_of)
                done = time.time()
                if clients is not None:
                    heard = await _heard(clients)
                    assert heard["as_of"] == as_of
                    took.append(heard["at"] - done)
                await asyncio.sleep(PAUSE_SECONDS)
            spent.append((cpu_seconds(process.pid) - before) / UPDATES)
            if clients is not None:
                await clients.wait()
    nobody, everybody = spent
    return [
        f"  an update of {WATCHED_LINKS:,} links with nobody watching: {nobody * 1000:.1f} ms of CPU of the api",
        f"  an update to {WATCHERS:,} watchers: {(everybody - nobody) * 1000:.1f} ms of CPU more",
        f"  the last of them has heard {sorted(took)[len(took) // 2] * 1000:.0f} ms after it was put (median)",
    ]


def _memory(pid: int) -> str:
    return f"{resident_mib(pid):,.0f} MiB, at the peak {peak_mib(pid):,.0f} MiB"


async def _heard(clients: asyncio.subprocess.Process) -> dict[str, float]:
    assert clients.stdout is not None
    found: dict[str, float] = json.loads(await clients.stdout.readline())
    return found


async def _watching(address: str, watchers: int) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "tests.bench.loads.asking", address, "watch", str(watchers), str(UPDATES), "0")
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)


async def _asked(address: str, what: str, *numbers: int) -> dict[str, float]:
    command = (sys.executable, "-m", "tests.bench.loads.asking", address, what, *map(str, numbers))
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    found: dict[str, float] = json.loads(output)
    return found


def spread_of(took: list[float]) -> str:
    """Return the median and the slowest of times in seconds, in words."""
    ordered = sorted(took)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return _spread({name: 1000 * ordered[int(len(ordered) * share)] for name, share in shares.items()})


def _spread(found: dict[str, float]) -> str:
    return "p50 {p50:.2f}, p90 {p90:.2f}, p99 {p99:.2f} ms".format(**found)


@asynccontextmanager
async def _nats(folder: Path) -> AsyncIterator[Nats]:
    """Run a real nats-server that lets the system decide when to write: the benchmark only reads."""
    server = Nats(folder / "nats", free_port())
    users = write_users(server.credentials)
    text = server_configuration(
        host="127.0.0.1", port=server.port, store=server.folder / "store", users=users, vantage="main", bus="xroad"
    )
    write_configuration(server.folder / "nats.conf", text.replace('"sync_interval": "always"', '"sync_interval": "1m"'))
    server.start()
    try:
        async with server.connect("admin") as bus:
            await initialise_streams(bus)
        yield server
    finally:
        server.kill()
