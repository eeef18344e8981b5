"""What gRPC health checks hear of the api, and that none of them holds up the others."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import h2.events
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.api.component import SERVICE_NAMES
from services.api.health import HealthReporter
from services.core.runtime import Health
from tests.support.cases.api.http2 import Connection
from tests.support.cases.api.server import served
from tests.support.waiting import DEADLINE, eventually

MESSAGES: Any = health_pb2  # its types lack List
STATES = health_pb2.HealthCheckResponse


async def test_a_watch_that_takes_nothing_holds_up_nobody():
    """While a peer does not let its watch be written, the state changes for everybody else, and the api can drain."""
    reporter = HealthReporter(SERVICE_NAMES, Health())
    reporter.report()
    async with (
        asyncio.timeout(DEADLINE),
        served(reporter=reporter) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stalled = Connection(*await asyncio.open_connection("127.0.0.1", port))
        stalled.accept_nothing()
        stalled.call("/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest().SerializeToString())
        await stalled.until(h2.events.ResponseReceived)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == STATES.SERVING
        reporter.report("the bus cannot be read")
        assert (await watch.read()).status == STATES.NOT_SERVING
        reporter.report()
        assert (await watch.read()).status == STATES.SERVING
        reporter.drain()
        assert (await watch.read()).status == STATES.NOT_SERVING
        watch.cancel()
        stalled.close()


async def test_only_the_services_of_the_api_have_a_state(api, refusal):
    """Every service is listed. Another name is refused and counted as such, and a watch of it is told that it is unknown."""
    stub: Any = health_pb2_grpc.HealthStub(api.channel)
    states = (await stub.List(MESSAGES.HealthListRequest())).statuses
    assert {name: one.status for name, one in states.items()} == dict.fromkeys(("", *SERVICE_NAMES), STATES.NOT_SERVING)
    other = health_pb2.HealthCheckRequest(service="peyvand.v1.Unknown")
    code, info, _ = await refusal(stub.Check(other, timeout=DEADLINE))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "SERVICE_UNKNOWN")
    await eventually(lambda: api.counted("Check", "NOT_FOUND") == 1, "the refusal is counted")
    watch = stub.Watch(other, timeout=DEADLINE)
    assert (await watch.read()).status == STATES.SERVICE_UNKNOWN
    watch.cancel()
