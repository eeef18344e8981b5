"""The tasks of the collector, and the summaries that it publishes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from services.collector import component, publisher
from services.collector.component import _Collector, _Supervisor
from services.collector.ledger.executor import LedgerExecutor
from services.collector.records.batch import RecordBatch, SourcePosition
from services.collector.records.xroad import read_side
from services.core import log as logs
from services.core.codec import decode_summaries
from services.core.errors import BusError, StateError
from services.core.runtime import Runtime
from services.core.settings import Settings

NOW = 1_700_000_500_000


class Sink:
    """A bus that keeps messages and acknowledges only the first ``fails``."""

    def __init__(self, fails):
        self.fails = fails
        self.kept = []

    async def publish(self, subject, payload, *, message_id):
        assert message_id
        if len(self.kept) >= self.fails:
            raise BusError("not acknowledged")
        self.kept.append((subject, decode_summaries(payload)[1]))
        return len(self.kept)


async def test_only_what_the_bus_acknowledged_counts_as_published(raw, tmp_path, monkeypatch):
    """After a failure halfway, only the unacknowledged summaries are sent again."""
    monkeypatch.setattr(publisher, "_MOST_SUMMARIES", 2)
    clients = [f"IR/GOV/100/{n}" for n in range(6)]
    runtime = Runtime(Settings(), CollectorRegistry(), logs.logger(), asyncio.Event())
    executor, sink = LedgerExecutor(), Sink(fails=2)

    async with executor.ledger(tmp_path / "state.sqlite", 300, NOW) as ledger:
        sides = (read_side(raw(clientSubsystemCode=str(n), xRequestId=f"x-{n}")) for n in range(6))
        await executor.run(ledger.take, "log", RecordBatch(tuple(sides), (), SourcePosition(1, 1)), now_ms=NOW)
        collector = _Collector(runtime, cast(Any, sink), executor, ledger, asyncio.Event())
        with pytest.raises(BusError):
            await collector.flush()
        sent = sum(len(summaries) for _, summaries in sink.kept)
        left = await executor.run(ledger.unpublished, 100)
        assert (sent, len(left)) == (4, 2)
        sink.fails = 100
        await collector.flush()
        assert (await executor.run(ledger.totals)).unpublished == 0
    assert sorted(s.client for _, summaries in sink.kept for s in summaries) == clients


class NumberedSink:
    """A bus that acknowledges each message with the next of some sequences, or raises the error in its place."""

    def __init__(self, *sequences):
        self.sequences = list(sequences)

    async def publish(self, *_args, **_named):
        sequence = self.sequences.pop(0)
        if isinstance(sequence, BusError):
            raise sequence
        return sequence


@asynccontextmanager
async def publishing(path, sink, raw, again=None):
    """Yield a collector, what takes a record and publishes it, and what returns the clients yet to be published."""
    runtime = Runtime(Settings(), CollectorRegistry(), logs.logger(), asyncio.Event())
    executor = LedgerExecutor()
    async with executor.ledger(path, 300, NOW) as ledger:
        collector = _Collector(runtime, cast(Any, sink), executor, ledger, again or asyncio.Event())

        async def publish(number):
            side = read_side(raw(clientSubsystemCode=str(number), xRequestId=f"x-{number}"))
            batch = RecordBatch((side,), (), SourcePosition(number, number))
            await executor.run(ledger.take, "log", batch, now_ms=NOW)
            with suppress(BusError):
                await collector.flush()

        async def waiting():
            pending = await executor.run(ledger.unpublished, 100)
            return sorted(int(one.summary.client.rpartition("/")[2]) for one in pending)

        yield collector, publish, waiting


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_bus_that_gives_out_a_sequence_twice_gets_everything_again(raw, tmp_path, restarted):
    """A new summary that gets a sequence from before shows that the bus lost messages: all are published again, once."""
    path, sink = tmp_path / "state.sqlite", NumberedSink(100, 101, 1, 2, 3)

    async def lose(collector, publish, waiting):
        await publish(3)
        assert await waiting() == [1, 2, 3]
        await collector.flush()
        assert await waiting() == []
        await publish(4)
        assert (await waiting(), sink.sequences) == ([], [])

    async with publishing(path, sink, raw) as (collector, publish, waiting):
        await publish(1)
        await publish(2)
        assert await waiting() == []
        if not restarted:
            await lose(collector, publish, waiting)
    if restarted:
        async with publishing(path, sink, raw) as (collector, publish, waiting):
            await lose(collector, publish, waiting)


async def test_a_message_that_the_bus_may_have_shows_no_loss(raw, tmp_path):
    """A message that was not acknowledged gets the sequence under which the bus stored it, which says nothing."""
    sink = NumberedSink(1, BusError("not acknowledged"), 1, 2)
    async with publishing(tmp_path / "state.sqlite", sink, raw) as (collector, publish, waiting):
        await publish(1)
        await publish(2)
        assert await waiting() == [2]
        await collector.flush()
        assert await waiting() == []
        await publish(3)
        assert (await waiting(), sink.sequences) == ([], [])


async def test_all_is_published_again_on_demand(raw, tmp_path):
    """On demand everything goes out again, and what the bus then says of messages that it has shows no loss."""
    sink, again = NumberedSink(1, 2, 2, 3), asyncio.Event()
    async with publishing(tmp_path / "state.sqlite", sink, raw, again) as (collector, publish, waiting):
        await publish(1)
        await publish(2)
        again.set()
        await collector.flush()
        assert (await waiting(), sink.sequences) == ([], [3])
        await publish(3)
        assert (await waiting(), sink.sequences) == ([], [])


async def test_a_busy_bus_serves_again_after_a_failure(raw, tmp_path, monkeypatch):
    """Even if each published message brings more records, a failure is over as soon as the bus acknowledges."""
    monkeypatch.setattr(component, "FLUSH_SECONDS", 0.0)
    runtime = Runtime(Settings(), CollectorRegistry(), logs.logger(), asyncio.Event())
    executor, seen = LedgerExecutor(), []

    async with executor.ledger(tmp_path / "state.sqlite", 300, NOW) as ledger:

        async def take(number):
            side = read_side(raw(clientSubsystemCode=str(number), xRequestId=f"x-{number}"))
            batch = RecordBatch((side,), (), SourcePosition(number + 1, number + 1))
            await executor.run(ledger.take, "log", batch, now_ms=NOW)

        class BusySink:
            async def publish(self, *_args, **_named):
                seen.append(str(runtime.health))
                await take(len(seen))
                if len(seen) == 20:
                    runtime.stop.set()
                if len(seen) == 1:
                    raise BusError("not acknowledged")
                return len(seen)

        await take(0)
        await _Collector(runtime, cast(Any, BusySink()), executor, ledger, asyncio.Event()).publish()
    assert seen[1].startswith("NOT_SERVING: what was read cannot be published")
    assert seen[-1] == "SERVING"


async def test_the_first_failure_stops_all():
    """The first task that fails sets the stop, and its failure is kept, whatever fails later."""
    stop = asyncio.Event()
    supervisor = _Supervisor(stop)

    async def fails(reason):
        raise StateError(reason)

    async def works():
        await stop.wait()

    await supervisor.run(asyncio.sleep(0))
    assert supervisor.failure is None
    assert not stop.is_set()
    working = asyncio.create_task(supervisor.run(works()))
    await supervisor.run(fails("first"))
    await supervisor.run(fails("second"))
    await working
    assert str(supervisor.failure) == "first"
