"""How the server stops, keeps deadlines, and reports a lost bus."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from services.api import health
from services.api.component import SERVICE_NAMES, ServerState
from services.api.health import HealthReporter
from services.core.codec.units import to_timestamp
from services.core.errors import ListenError
from services.core.runtime import Health
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.server import served
from tests.support.waiting import DEADLINE

SLOW = messages.GetLinkRequest(link="deed-tax", slots_from=to_timestamp(AS_OF - 300), slots_to=to_timestamp(AS_OF))


def block_reads(api):
    """Make reads of slots wait; return the events (entered, proceed)."""
    entered, proceed = asyncio.Event(), asyncio.Event()

    async def wait(_, __):
        entered.set()
        await proceed.wait()

    api.bucket.kv_get = wait
    return entered, proceed


async def code_of(call):
    """Return the status of a call."""
    return await call.code()


async def test_calls_under_way_finish_while_the_server_stops(api):
    """A call that began before the stop is answered; a later one is not."""
    entered, proceed = block_reads(api)
    stopped = asyncio.Event()

    async def serve(ready):
        async with served(api.state) as port:
            ready.set_result(port)
            await stopped.wait()

    ready = asyncio.get_running_loop().create_future()
    server = asyncio.ensure_future(serve(ready))
    async with asyncio.timeout(DEADLINE), grpc.aio.insecure_channel(f"127.0.0.1:{await ready}") as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        call = asyncio.ensure_future(stub.GetLink(SLOW))
        await entered.wait()
        stopped.set()
        # A call that arrives just as the server ends may be cancelled instead of refused.
        while (
            await code_of(stub.GetIndicator(messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)))
            is grpc.StatusCode.OK
        ):
            pass
        assert not call.done()
        proceed.set()
        assert (await call).link.link.id == "deed-tax"
        await server


async def test_a_deadline_ends_the_work_for_it(api):
    """After the caller's deadline the api stops working on the call and counts it."""
    entered, _ = block_reads(api)
    for seconds in (0.2, 2.0, 20.0):  # until the call reaches the server
        with pytest.raises(grpc.aio.AioRpcError) as over:
            await api.indicators.GetLink(SLOW, timeout=seconds)
        assert over.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        if entered.is_set():
            break
    assert entered.is_set()
    async with asyncio.timeout(DEADLINE):
        while not api.counted("GetLink", "DEADLINE_EXCEEDED"):  # noqa: ASYNC110  # the counter sends no event
            await asyncio.sleep(0.001)


async def test_a_taken_address_is_named():
    """A taken address is a ListenError that names it."""
    async with served() as port:
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}.*--listen"):
            async with served(address=f"127.0.0.1:{port}"):
                pass


async def test_a_bus_lost_for_long_is_reported_and_so_is_its_return(api, monkeypatch):
    """Health is NOT_SERVING while the bus or a bucket is gone for too long, then SERVING again. Answers continue."""
    monkeypatch.setattr(health, "LOST_SECONDS", 0.0)
    monkeypatch.setattr(health, "_POLL_SECONDS", 0.001)
    announcer, bus = HealthReporter(SERVICE_NAMES, Health()), SimpleNamespace(connected=True, following=True)
    async with (
        asyncio.timeout(DEADLINE),
        served(reporter=announcer) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        saying = asyncio.ensure_future(health.report_readiness(cast(Any, bus), api.state.model, announcer))
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAMES[0]))
        heard: list[int] = []
        states = health_pb2.HealthCheckResponse
        for lost, state in (
            ("", states.SERVING),
            ("connected", states.NOT_SERVING),
            ("", states.SERVING),
            ("following", states.NOT_SERVING),
            ("", states.SERVING),
        ):
            bus.connected, bus.following = lost != "connected", lost != "following"
            while not heard or heard[-1] != state:
                heard.append((await watch.read()).status)
            assert lost == "" or str(announcer._process) == "NOT_SERVING: the bus cannot be read"
        await api.indicators.GetIndicator(messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT))
        announcer.drain()
        assert (await watch.read()).status == states.NOT_SERVING
        announcer.report()
        assert str(announcer._process) == "NOT_SERVING: ending"
        saying.cancel()
        watch.cancel()


def test_a_state_without_a_bus_is_an_error():
    """Slots requested before the bus answered are an error at once."""
    with pytest.raises(Exception, match="the bus has not answered yet"):
        asyncio.run(ServerState(CollectorRegistry()).read_value("slot.a.1"))
