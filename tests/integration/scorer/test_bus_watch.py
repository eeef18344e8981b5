"""The scorer shows on /health and /metrics how a real bus may lose messages, and when its certificate expires."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from cryptography import x509
from nats.js.api import StorageType
from prometheus_client import CollectorRegistry, generate_latest

from services.core.bus import Bus, stream_configs
from services.core.bus.names import EXCHANGES
from services.core.log import logger
from services.core.runtime import Health
from services.core.tasks import cancel_and_wait
from services.scorer import bus_watch
from services.scorer.bus_metrics import BusMetrics
from services.scorer.bus_watch import watch_bus
from services.scorer.work_record import WorkRecord
from tests.support.nats import Nats
from tests.support.servers.deployed_nats import deployed, initialised
from tests.support.waiting import eventually

EXPIRY = "peyvand_bus_certificate_expiry_timestamp_seconds", {"server": "peyvand"}


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one answer be all that a report waits for; more servers could answer for five seconds."""
    monkeypatch.setattr("services.core.bus.durability._SERVERS", 1)


async def watched(connecting: AbstractAsyncContextManager[Bus], registry: CollectorRegistry, health: Health) -> None:
    """Watch a bus until it has been asked once."""
    metrics = BusMetrics(registry, WorkRecord(0.0))
    async with connecting as bus:
        watching = asyncio.create_task(watch_bus(bus, metrics, health, logger()))
        before = generate_latest(registry)
        await eventually(lambda: generate_latest(registry) != before, "the bus was asked")
        watching.cancel()
        await asyncio.wait({watching})


async def test_what_may_be_lost_is_said_while_it_serves(nats: Nats) -> None:
    """A stream in memory is named on /health beside SERVING, and on /metrics; with a safe bus only SERVING is shown."""
    health = Health()
    health.serving()
    safe, unsafe = CollectorRegistry(), CollectorRegistry()
    await watched(nats.connect("scorer"), safe, health)
    assert str(health) == "SERVING"
    assert b'peyvand_bus_unsafe{fault="storage"} 0.0' in generate_latest(safe)
    (config,) = (one for one in stream_configs(1) if one.name == EXCHANGES)
    async with nats.connect("admin") as bus:
        await bus.jetstream.delete_stream(EXCHANGES)
        await bus.jetstream.add_stream(config.evolve(storage=StorageType.MEMORY))
    await watched(nats.connect("scorer"), unsafe, health)
    assert str(health).startswith("SERVING, but stream EXCHANGES is in memory")
    assert b'peyvand_bus_unsafe{fault="storage"} 1.0' in generate_latest(unsafe)


async def test_when_the_certificate_expires_is_exposed(tmp_path: Path) -> None:
    """/metrics has the time when the certificate of a server with TLS expires."""
    registry = CollectorRegistry()
    with deployed(tmp_path / "alone", "alone.conf") as servers:
        async with servers.connect("admin") as admin:
            await initialised(admin)
        await watched(servers.connect("scorer"), registry, Health())
        shown = x509.load_pem_x509_certificate((servers.secrets / "nats" / "server.pem").read_bytes())
    assert registry.get_sample_value(*EXPIRY) == shown.not_valid_after_utc.timestamp()


async def test_what_a_bus_said_is_forgotten_once_it_is_gone(nats: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scorer without a bus shows neither faults nor certificates after a while, as they may have changed since."""
    monkeypatch.setattr(bus_watch, "_KEPT_SECONDS", 0.0)
    monkeypatch.setattr(bus_watch, "_ASK_SECONDS", 0.1)
    registry = CollectorRegistry()
    metrics, fault = BusMetrics(registry, WorkRecord(0.0)), ("peyvand_bus_unsafe", {"fault": "storage"})
    async with nats.connect("scorer") as bus:
        watching = asyncio.create_task(watch_bus(bus, metrics, Health(), logger()))
        await eventually(lambda: registry.get_sample_value(*fault) == 0.0, "the bus was asked")
        nats.kill()
        metrics.certificates({"peyvand": 1.0})
        await eventually(lambda: registry.get_sample_value(*fault) is None, "the faults are forgotten")
        await cancel_and_wait(watching)
    assert registry.get_sample_value(*EXPIRY) is None
