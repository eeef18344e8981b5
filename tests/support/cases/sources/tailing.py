"""A source of log files that looks at them only when the test lets it. Not a test."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.collector.config import FileSource
from services.collector.files.tailer import FileTailer
from services.collector.intake import Intake
from services.collector.ledger.executor import LedgerExecutor
from services.collector.metrics import CollectorMetrics

__all__ = ["NOW", "Followed", "following", "is_open", "line"]

NOW = 1_700_000_500_000


class Followed:
    """A tailer that looks when the test lets it."""

    def __init__(self, ledger, executor, registry, lines):
        self.ledger, self.executor, self.registry, self.lines = ledger, executor, registry, lines
        self.now = NOW
        self.begin, self.ended = asyncio.Event(), asyncio.Event()

    async def wait(self, seconds):
        if seconds:
            self.ended.set()
            await self.begin.wait()
            self.begin.clear()
        return False

    async def look(self, times=1):
        """Let the tailer look; return the numbers of exchanges and of duplicates."""
        for _ in range(times):
            await self.ended.wait()
            self.ended.clear()
            self.begin.set()
            await self.ended.wait()
        totals = await self.executor.run(self.ledger.totals)
        return totals.exchanges, self.sample("peyvand_exchange_duplicates_total")

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    def waiting(self):
        return [line for line in self.lines if line["event"] == "line_waiting"]

    def failures(self):
        return [line["reason"].splitlines()[0] for line in self.lines if line["event"] == "source_failed"]

    def position(self):
        return self.sample("peyvand_exchange_position_timestamp_seconds", source="logs")


def is_open(folder):
    """Return the names of a folder's files that this process has open, including deleted ones."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue
    return sorted(link.removeprefix(f"{folder}/") for link in links if link.startswith(f"{folder}/"))


@pytest.fixture
def following(tmp_path):
    """Tails tmp_path/logs/*.log, or another path, with a state."""
    (tmp_path / "logs").mkdir()

    @asynccontextmanager
    async def follow(path="logs/*.log"):
        executor, registry = LedgerExecutor(), CollectorRegistry()
        with structlog.testing.capture_logs() as lines:
            async with executor.ledger(tmp_path / "state.sqlite", 300, NOW) as ledger:
                metrics, log = CollectorMetrics(registry), structlog.get_logger()
                followed = Followed(ledger, executor, registry, lines)
                intake = Intake(executor, ledger, metrics, log, lambda: followed.now)
                source = FileSource("logs", tmp_path / path, 1.0)
                task = asyncio.create_task(FileTailer(source, intake, metrics, log, followed.wait).run())
                yield followed
                task.cancel()
                await asyncio.wait([task])
                assert is_open(tmp_path / "logs") == []

    return follow


@pytest.fixture
def line(raw):
    """The line of one exchange's client side, by number."""
    return lambda number: json.dumps(raw(xRequestId=f"x-{number}")).encode() + b"\n"
