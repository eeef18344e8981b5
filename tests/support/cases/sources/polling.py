"""One source polled round after round, and security servers that fail. Not a test."""

from __future__ import annotations

import asyncio
import gzip
import time
from contextlib import asynccontextmanager

import pytest
import structlog
from lxml import etree
from prometheus_client import CollectorRegistry

from services.collector.config import XroadSource
from services.collector.intake import Intake
from services.collector.ledger.executor import LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.xroad.poller import ServerPoller
from tests.support.servers.http_server import answer, forever
from tests.support.servers.security_server import multipart, soap
from tests.support.values.exchange_records import record as raw
from tests.support.waiting import DEADLINE

__all__ = ["CLIENT", "SERVER", "Pulled", "ailing", "broken", "pulling", "record", "slow"]

CLIENT, SERVER = "IR/GOV/1/monitor", "IR/GOV/100/ss%2F1"


def record(number, seconds, **changes):
    """One side of exchange ``number``, logged so many seconds ago."""
    logged = int(time.time()) - seconds
    named = {"monitoringDataTs": logged, "xRequestId": f"x-{number}", "messageUserId": "CANARY"}
    return raw(logged * 1000, **named | changes)


class Pulled:
    """The results of polling."""

    def __init__(self, registry, ledger, executor, lines):
        self.registry, self.ledger, self.executor, self.lines = registry, ledger, executor, lines

    async def exchanges(self):
        return (await self.executor.run(self.ledger.totals)).exchanges

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    def failures(self):
        return [(line["failure"], line["reason"]) for line in self.lines if line["event"] == "source_failed"]


@pytest.fixture
def pulling(tmp_path):
    """Polls one source, round after round, until it has paused ``rounds`` times."""

    @asynccontextmanager
    async def pull(url, rounds=1, chance=0.0, waits=None, state="state", now=time.time, answers=None, **options):
        executor, registry = LedgerExecutor(), CollectorRegistry()
        named = {"server": SERVER, "url": url, "client": CLIENT, "every": 60.0, "timeout": DEADLINE}
        source = XroadSource("ss1", **named | options)
        left = [rounds + 1]

        async def wait(seconds):
            await asyncio.sleep(0)
            if seconds and waits is not None:
                waits.append(seconds)
            if seconds or left[0] > rounds:
                left[0] -= 1
            return left[0] <= 0

        with structlog.testing.capture_logs() as lines:
            async with executor.ledger(tmp_path / f"{state}.sqlite", 300, int(time.time() * 1000)) as ledger:
                metrics, log = CollectorMetrics(registry), structlog.get_logger()
                metrics.add_source("ss1")
                intake = Intake(executor, ledger, metrics, log, lambda: int(time.time() * 1000))
                answers = answers or asyncio.Semaphore(4)
                poller = ServerPoller(source, intake, metrics, log, answers, now=now, chance=lambda: chance, wait=wait)
                await poller.run()
                yield Pulled(registry, ledger, executor, lines)
        assert "CANARY" not in str(lines)
        assert b"CANARY" not in b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite*"))

    return pull


def broken(change):
    """Return an answer of one record whose compressed content is changed."""
    envelope = soap(
        "<om:getSecurityServerOperationalDataResponse><om:recordsCount>1</om:recordsCount>"
        "</om:getSecurityServerOperationalDataResponse>"
    )
    return answer(200, multipart(envelope, change(gzip.compress(b'{"records": [{}]}'))))


def _span(request):
    """Return the first and the last second that are requested."""
    envelope = etree.fromstring(request.body)
    return (int(envelope.findtext(f".//{{*}}{name}", "")) for name in ("recordsFrom", "recordsTo"))


def slow(book, seconds):
    """Return a server that never answers when more seconds are requested."""

    async def answers(request, writer):
        first, last = _span(request)
        await (book if last - first < seconds else forever)(request, writer)

    return answers


def ailing(book, bad, ill):
    """Return a server whose answers fail if they cover any of these seconds."""

    async def answers(request, writer):
        first, last = _span(request)
        if any(first <= second <= last for second in bad):
            book.calls += 1
            writer.write(ill)
        else:
            await book(request, writer)

    return answers
