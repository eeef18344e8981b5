"""The scorer shows on /health and /metrics how a real bus may lose messages."""

from __future__ import annotations

import asyncio

from nats.js.api import StorageType
from prometheus_client import CollectorRegistry, generate_latest

from services.core.bus import stream_configs
from services.core.bus.names import EXCHANGES
from services.core.log import logger
from services.core.runtime import Health
from services.scorer.bus_metrics import BusMetrics
from services.scorer.bus_watch import watch_bus
from services.scorer.work_record import WorkRecord
from tests.support.nats import Nats
from tests.support.waiting import eventually


async def test_what_may_be_lost_is_said_while_it_serves(nats: Nats) -> None:
    """A stream in memory is named on /health beside SERVING, and on /metrics; with a safe bus only SERVING is shown."""
    registry, health = CollectorRegistry(), Health()
    metrics = BusMetrics(registry, WorkRecord(0.0))
    health.serving()

    async def watched() -> str:
        async with nats.connect("scorer") as bus:
            watching = asyncio.create_task(watch_bus(bus, metrics, health, logger()))
            before = generate_latest(registry)
            await eventually(lambda: generate_latest(registry) != before, "the bus was asked")
            watching.cancel()
            await asyncio.wait({watching})
        return str(health)

    assert await watched() == "SERVING"
    assert b'peyvand_bus_unsafe{fault="storage"} 0.0' in generate_latest(registry)
    (config,) = (one for one in stream_configs(1) if one.name == EXCHANGES)
    async with nats.connect("admin") as bus:
        await bus.jetstream.delete_stream(EXCHANGES)
        await bus.jetstream.add_stream(config.evolve(storage=StorageType.MEMORY))
    assert (await watched()).startswith("SERVING, but stream EXCHANGES is in memory")
    assert b'peyvand_bus_unsafe{fault="storage"} 1.0' in generate_latest(registry)
