"""A collector process on a test's bus, and the summaries it published."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any

import pytest

from services.core.bus.names import EXCHANGES
from services.core.codec import decode_summaries
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.forked import ForkedProcess
from tests.support.processes import Process

SAMPLE = "opmon_dev_5230.ndjson"
"""The real sample of exchanges."""

MEMBERS = "member,agency\nDEV/ORG/1234567-8,land-registry\n"

_SOON = {"services.collector.component.FLUSH_SECONDS": 0.2}
"""A collector publishes what it has counted ten times as often as elsewhere, so that tests wait less."""


@pytest.fixture
def collector(nats, tmp_path, port):
    """A context manager that runs a collector on the test's bus and state."""
    started: list[Process] = []

    @contextmanager
    def start(*arguments, data="state"):
        metrics, log = f"127.0.0.1:{port()}", tmp_path / f"collector-{len(started)}.log"
        where = ("--nats", nats.url, "--credentials", nats.credentials, "--data", tmp_path / data, "--metrics", metrics)
        popen = ForkedProcess("services.collector", *where, *arguments, stdout=log, constants=_SOON)
        process = Process(popen, log, metrics)
        started.append(process)
        try:
            yield process
        finally:
            process.popen.kill()
            process.popen.wait()

    return start


async def put_in_force(nats, directory):
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(directory), now=time.time())


async def stored(bus):
    """Return every message of stream EXCHANGES."""
    found, start = [], 1
    while messages := await bus.read(EXCHANGES, start):
        found += messages
        start = messages[-1].sequence + 1
    return found


async def in_force(bus):
    """Return the summaries in force, the highest revision of each key, as the scorer reads them."""
    best: dict[Any, Any] = {}
    for message in await stored(bus):
        name, summaries = decode_summaries(message.data)
        for summary in summaries:
            key = (name, summary.client, summary.service, summary.slot_start)
            if key not in best or summary.revision > best[key].revision:
                best[key] = summary
    return list(best.values())


def totals(summaries):
    return sum(s.count for s in summaries), sum(s.count for s in summaries if s.meta), sum(s.orphans for s in summaries)
