"""Acknowledged batches are sent again when a real bus has lost them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.core.bus import initialise_streams
from services.core.bus.names import MEASUREMENTS, SHARDS, measurement_subject, shard_of
from services.core.codec import ChainPlace, decode_measurements
from services.core.model import Reason, Target
from services.prober.assignments import Origin
from services.prober.metrics import ProberMetrics
from services.prober.publishing.measurements import unmeasured
from services.prober.publishing.publisher import MeasurementPublisher, encode_messages
from services.prober.publishing.spool import Spool
from tests.support.nats import Nats
from tests.support.waiting import eventually

ORIGIN = Origin("main", "p1", "r" * 64, "p" * 64)


@asynccontextmanager
async def publishing(nats: Nats, folder: Path) -> AsyncIterator[MeasurementPublisher]:
    spool = Spool(folder, 1 << 20, keep=3600.0)
    spool.open()
    async with nats.connect("prober") as bus:
        metrics = ProberMetrics(CollectorRegistry())
        publisher = MeasurementPublisher(spool, bus, metrics, structlog.get_logger(), run=bytes(16))
        sending = asyncio.create_task(publisher.send())
        yield publisher
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await publisher.drain(1.0)
    spool.close()


async def slots(nats: Nats) -> list[int]:
    """Return the slots of all measurements in the stream, in order."""
    async with nats.connect("dump") as dump:
        messages = await dump.read(MEASUREMENTS, 1)
    return sorted(row.slot_start for message in messages for row in decode_measurements(message.data))


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_stream_made_anew_gets_everything_again(nats: Nats, tmp_path: Path, restarted: bool) -> None:
    """A recreated stream holds all measurements, each once, after the next one is published."""

    async def publish(publisher: MeasurementPublisher, numbers: range) -> None:
        for number in numbers:
            publisher.add(unmeasured(Target("link"), 300 * number, Reason.SHED, "", ORIGIN))
            await publisher.flush()
        last = numbers[-1] * 300
        await eventually(lambda: _has(nats, last), "the last measurement arrived")

    async def everything_arrives(publisher: MeasurementPublisher) -> None:
        await _made_anew(nats)
        assert await slots(nats) == []
        await publish(publisher, range(6, 7))
        await eventually(lambda: _is_idle(publisher), "everything was sent again")
        assert await slots(nats) == [300 * number for number in range(1, 7)]

    async with publishing(nats, tmp_path) as publisher:
        await publish(publisher, range(1, 6))
        if not restarted:
            await everything_arrives(publisher)
    if restarted:
        async with publishing(nats, tmp_path) as publisher:
            await everything_arrives(publisher)


async def fill(nats: Nats, shard: int, messages: int) -> None:
    """Publish messages of another prober of the vantage."""
    async with nats.connect("prober") as bus:
        for _ in range(messages):
            row = unmeasured(Target("other"), 300, Reason.SHED, "", replace(ORIGIN, prober="p2"))
            (message,), _ = encode_messages([row], ChainPlace(token_bytes(16), 1))
            await bus.publish(measurement_subject("main", shard), message.payload, message_id=message.message_id)


@pytest.mark.parametrize("away", [False, True], ids=["in one run", "in the next run"])
async def test_a_stream_that_others_filled_gets_everything_again(
    nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """If others filled a recreated stream beyond the last sequence of a prober while it published nothing, it gets all
    that the prober keeps. A stream that only grew gets nothing again, whether others share the prober's subject or not.
    """
    monkeypatch.setattr("services.prober.publishing.publisher._LOOK_AFTER_SECONDS", 0.0)
    own = shard_of("p1")

    async def publish(publisher: MeasurementPublisher, number: int) -> None:
        publisher.add(unmeasured(Target("link"), 300 * number, Reason.SHED, "", ORIGIN))
        await publisher.flush()
        await eventually(lambda: _has(nats, 300 * number), "it arrived")
        await eventually(lambda: _is_idle(publisher), "everything was sent again")

    async def count() -> int:
        async with nats.connect("dump") as dump:
            return len(await dump.read(MEASUREMENTS, 1))

    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(publishing(nats, tmp_path))
        await publish(publisher, 2)
        for number, shard in enumerate((own + 1, own), 3):
            await fill(nats, shard % SHARDS, 4)
            await publish(publisher, number)
        assert await count() == 3 + 8
        if away:
            await stack.aclose()
        await _made_anew(nats)
        await fill(nats, (own + 1) % SHARDS, 20)
        if away:
            publisher = await stack.enter_async_context(publishing(nats, tmp_path))
        await publish(publisher, 5)
    assert await slots(nats) == [*[300] * 20, 600, 900, 1200, 1500]


async def test_all_is_sent_again_on_demand(nats: Nats, tmp_path: Path) -> None:
    """On demand everything is sent again; if the bus has it, nothing changes, because repeated messages are stored
    once.
    """
    async with publishing(nats, tmp_path) as publisher:
        publisher.add(unmeasured(Target("link"), 300, Reason.SHED, "", ORIGIN))
        await publisher.flush()
        await eventually(lambda: _has(nats, 300), "it arrived")
        publisher.publish_again()
        await eventually(lambda: _is_idle(publisher), "it was sent again")
        assert await slots(nats) == [300]
        await _made_anew(nats)
        publisher.publish_again()
        await eventually(lambda: _is_idle(publisher), "it was sent again")
        assert await slots(nats) == [300]


async def _has(nats: Nats, slot: int) -> bool:
    return slot in await slots(nats)


def _is_idle(publisher: MeasurementPublisher) -> bool:
    """Return whether nothing has to be sent, for the first time or again."""
    return publisher._again is None and not publisher._spool.pending


async def _made_anew(nats: Nats) -> None:
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_stream(MEASUREMENTS)
        await initialise_streams(admin)
