"""Measure what pages cost a real console process beside a real api, over an index of any size."""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.bench.api import answering, spread_of
from tests.bench.component import component
from tests.bench.loads.synthetic import SLOT
from tests.bench.meters.process import cpu_seconds, machine, peak_mib, resident_mib
from tests.bench.publishing import put
from tests.support.ports import free_port

__all__ = ["console"]

PAGES = 400
RATE = 100
SECONDS = 20
UNCHANGED = 5000
_STATIC = re.compile(r"/static/[\w.-]+")


def console(links: int) -> Iterator[str]:
    """Measure pages over an index of so many links, and yield lines of figures."""
    yield f"console over {links:,} links, from {time.strftime('%F %T %Z')}"
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        yield from asyncio.run(_pages(links, Path(folder) / "pages"))


async def _pages(links: int, folder: Path) -> list[str]:
    async with answering(links, folder) as (process, address, publisher, state):
        where = f"127.0.0.1:{free_port()}"
        with component("console", None, folder, console=where, api=address) as pages:
            await pages.serving()
            async with httpx.AsyncClient(base_url=f"http://{where}", trust_env=False, timeout=30) as client:
                lines = await _sizes(client)
                lines += await _made(client, pages.pid, process.pid, links)
                lines += await _unchanged(client, pages.pid)
                as_of = state.result.snapshot.as_of + SLOT
                await put(publisher, state, as_of)
                lines += await _at_a_rate(client, pages.pid, links)
            lines.append(f"  {resident_mib(pages.pid):,.0f} MiB, at the peak {peak_mib(pages.pid):,.0f} MiB")
    return lines


async def _sizes(client: httpx.AsyncClient) -> list[str]:
    """Return the sizes of pages and files as sent, compressed."""
    page = await client.get("/fa/")
    style = next(name for name in _STATIC.findall(page.text) if name.endswith(".css"))
    files = {*_STATIC.findall(page.text), *_STATIC.findall((await client.get(style)).text)}
    loaded = 0
    for name in files:
        loaded += int((await client.get(name)).headers["content-length"])
    sizes = {
        path: len(gzip.compress((await client.get(path)).content, 6)) for path in ("/fa/", "/fa/agencies", "/fa/matrix")
    }
    told = ", ".join(f"{path} {size / 1000:.1f}" for path, size in sizes.items())
    return [f"  KB as sent: {told}; style, script, icon and font {loaded / 1000:.1f}"]


def _addresses(links: int) -> Iterator[str]:
    """Yield addresses of pages of every kind, most of them of a random link, service or agency."""
    chance = random.Random(5)
    agencies, services = max(2, links // 100), links // 10
    while True:
        language = chance.choice(("en", "fa"))
        agency = f"agency-{chance.randrange(agencies):05d}"
        yield chance.choice(
            (
                f"/{language}/?window={chance.choice((7, 28, 90))}",
                f"/{language}/agencies?sort={chance.choice(('lower', 'name', 'links'))}",
                f"/{language}/matrix",
                f"/{language}/structure",
                f"/{language}/agency/{agency}",
                f"/{language}/agency/{agency}?window=28",
                f"/{language}/service/service-{chance.randrange(services):06d}",
                f"/{language}/link/link-{chance.randrange(links):07d}",
                f"/{language}/search?q={chance.randrange(1000)}",
            )
        )


async def _made(client: httpx.AsyncClient, pid: int, api: int, links: int) -> list[str]:
    """Measure pages that nobody has read before, one after another."""
    addresses, took = _addresses(links), list[float]()
    wanted = list(dict.fromkeys(next(addresses) for _ in range(2 * PAGES)))[:PAGES]
    before, of_api = cpu_seconds(pid), cpu_seconds(api)
    for path in wanted:
        begun = time.perf_counter()
        answer = await client.get(path)
        assert answer.status_code == 200, path
        took.append(time.perf_counter() - begun)
    spent, asked = cpu_seconds(pid) - before, cpu_seconds(api) - of_api
    return [
        (
            f"  {len(wanted)} pages made anew: {1000 * spent / len(wanted):.1f} ms of CPU a page, and {1000 * asked / len(wanted):.1f} ms"
            f" of the api's; {spread_of(took)}"
        )
    ]


async def _unchanged(client: httpx.AsyncClient, pid: int) -> list[str]:
    """Measure a page that a reader has, requested again and again."""
    tag = (await client.get("/fa/")).headers["etag"]
    took = list[float]()
    before = cpu_seconds(pid)
    for _ in range(UNCHANGED):
        begun = time.perf_counter()
        answer = await client.get("/fa/", headers={"If-None-Match": tag})
        took.append(time.perf_counter() - begun)
        assert answer.status_code == 304
    spent = cpu_seconds(pid) - before
    return [f"  not modified: {1000 * spent / UNCHANGED:.2f} ms of CPU; {spread_of(took)}"]


async def _at_a_rate(client: httpx.AsyncClient, pid: int, links: int) -> list[str]:
    """Measure pages at a fixed rate of readers, however long the answers take."""
    addresses, took = _addresses(links), list[float]()
    readable = [next(addresses) for _ in range(PAGES)]
    chance = random.Random(6)

    async def read() -> None:
        begun = time.perf_counter()
        answer = await client.get(chance.choice(readable))
        assert answer.status_code == 200
        took.append(time.perf_counter() - begun)

    before, start = cpu_seconds(pid), time.perf_counter()
    async with asyncio.TaskGroup() as readers:
        for number in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            readers.create_task(read())
    spent = cpu_seconds(pid) - before
    return [
        (
            f"  {RATE} pages/s for {SECONDS} s, of {PAGES} addresses after a refresh: {1000 * spent / len(took):.1f} ms of CPU a page;"
            f" {spread_of(took)}"
        )
    ]
