"""The api as a process against a real nats-server: its health, its clients, and restarts of the bus."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from peyvand.v1 import (
    indicator_pb2,
    indicator_service_pb2,
    indicator_service_pb2_grpc,
)
from services.api.component import SERVICE_NAMES
from services.register.bus.publish import publish_register
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.service import (
    NOT_SERVING,
    SERVING,
    health_of,
    launch,
    put_blocks,
    register,
    serving,
    with_register,
)
from tests.support.waiting import DEADLINE, EAGER, eventually

__all__ = ["launch", "register"]  # the fixtures


async def test_health_is_serving_only_with_register_and_government(launch, nats, register):
    """Health over gRPC (overall and per API service) and /health are SERVING only with a register and a block."""
    process = launch()
    async with grpc.aio.insecure_channel(process.listen, EAGER) as channel:

        async def states(expected):
            found = {await health_of(channel, name) for name in ("", *SERVICE_NAMES)}
            return found == {expected} and process.page("/health")[0] == (200 if expected == SERVING else 503)

        await eventually(lambda: states(NOT_SERVING), "health says NOT_SERVING")
        async with nats.connect("register") as bus:
            await publish_register(bus, register, now=AS_OF)
        await eventually(lambda: with_register(channel), "the api has its register")
        assert await states(NOT_SERVING)
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register)
        await eventually(lambda: states(SERVING), "health says SERVING")
        assert await health_of(channel, "peyvand.v1.Unknown") is None


async def test_a_client_needs_nothing_but_reflection(launch, nats, register):
    """A client without our messages finds the API services by reflection, gets the government's indicator and watches it."""
    async with serving(launch, nats, register) as (process, _):

        def ask(watching):
            with grpc.insecure_channel(process.listen) as channel:
                database = ProtoReflectionDescriptorDatabase(channel)
                names = set(database.get_services())
                service = DescriptorPool(database).FindServiceByName("peyvand.v1.IndicatorService")

                def method(name, kind):
                    found = service.methods_by_name[name]
                    request, answer = GetMessageClass(found.input_type), GetMessageClass(found.output_type)
                    call = getattr(channel, kind)(
                        f"/{service.full_name}/{name}", request.SerializeToString, answer.FromString
                    )
                    return request, call

                request, get = method("GetIndicator", "unary_unary")
                government = get(request(kind="INDICATOR_KIND_GOVERNMENT"), timeout=DEADLINE).indicator
                request, watch = method("WatchIndicators", "unary_stream")
                stream = watch(request(kind="INDICATOR_KIND_GOVERNMENT"), timeout=DEADLINE)
                first = next(stream).indicator
                watching.set()
                second = next(stream).indicator
                stream.cancel()
                return names, government, first, second

        loop, watching = asyncio.get_running_loop(), asyncio.Event()

        class Signal:
            def set(self):
                loop.call_soon_threadsafe(watching.set)

        asking = asyncio.ensure_future(asyncio.to_thread(ask, Signal()))
        async with asyncio.timeout(DEADLINE):
            await watching.wait()
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register, as_of=AS_OF + 300, ok={"deed-tax": 0})
        names, government, first, second = await asking
        assert {*SERVICE_NAMES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names
        assert (government.id, government.as_of.seconds) == ("country", AS_OF)
        assert first == government
        assert second.as_of.seconds == AS_OF + 300
        assert second.point < first.point


async def test_the_api_lives_through_a_restart_of_the_bus(launch, nats, register):
    """While the bus is down the api answers with the same as_of; after the restart it reads new blocks without help."""
    async with serving(launch, nats, register) as (process, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)

        async def as_of():
            return (await stub.GetIndicator(request, timeout=DEADLINE)).indicator.as_of.seconds

        async def has(event):
            return event in process.events()

        async def refreshed():
            return await as_of() == AS_OF + 300

        async def is_serving():
            return await health_of(channel) == SERVING

        nats.kill()
        await eventually(lambda: has("bus_disconnected"), "the lost bus is logged")
        assert await as_of() == AS_OF
        nats.start()
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register, as_of=AS_OF + 300)
        await eventually(refreshed, "the new block is shown")
        await eventually(is_serving, "health says SERVING, also after a long restart")


async def test_sigterm_drains_and_ends_well(launch, nats, register):
    """On SIGTERM health becomes NOT_SERVING, watches end with UNAVAILABLE, and the process exits with 0."""
    async with serving(launch, nats, register) as (process, channel):
        checks: Any = health_pb2_grpc.HealthStub(channel)
        health = checks.Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == SERVING
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        watch = stub.WatchIndicators(
            indicator_service_pb2.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        )
        assert (await watch.read()).indicator.id == "country"
        status, text = process.page("/metrics")
        assert status == 200
        assert "peyvand_api_watchers 1.0" in text
        assert 'peyvand_api_requests_total{code="OK",method="WatchIndicators"} 0.0' in text
        process.popen.send_signal(signal.SIGTERM)
        assert (await health.read()).status == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await watch.read()
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert await asyncio.to_thread(process.popen.wait, DEADLINE) == 0
        assert process.events()[-1] == "stopped"


async def test_a_taken_address_is_one_sentence(launch, port):
    """When another process listens on the address, the api exits with 1 and one sentence that names it and what to do."""
    first = launch()

    async def listens():
        return "listening" in first.events()

    await eventually(listens, "the api listens")
    second = launch(listen=first.listen)
    assert await asyncio.to_thread(second.popen.wait, DEADLINE) == 1
    last = second.log.read_text("utf-8").splitlines()[-1]
    assert last.startswith("peyvand api: ")
    assert first.listen in last
    assert "--listen" in last
    bad = launch(listen="nowhere")
    assert await asyncio.to_thread(bad.popen.wait, DEADLINE) == 1
    assert "'nowhere' is not HOST:PORT" in bad.log.read_text("utf-8")
