"""The api as a process against a real nats-server: its health, its clients, and how it lives through restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from peyvand.v1 import (
    indicator_service_pb2,
    indicator_service_pb2_grpc,
    register_service_pb2,
    register_service_pb2_grpc,
)
from services.api.assembly import NAMES
from services.core.bus.parts import LARGEST
from services.core.bus.subjects import INDICATOR
from services.core.codec import encode_slot_block
from services.core.codec.units import timestamp
from services.core.evidence import Kind
from services.core.outcome import Outcome, Reason
from services.register.load import load
from services.register.publish import publish
from tests.api_pictures import AS_OF, blocks_of, slot_block_of
from tests.block_columns import encoded
from tests.registers import write_register

DEADLINE = 30.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Process:
    """One api process."""

    popen: subprocess.Popen[bytes]
    listen: str
    metrics: str
    output: Path

    def page(self, path):
        """Status and text of /metrics or /health; (0, "") while nothing listens."""
        try:
            with urlopen(f"http://{self.metrics}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except URLError:
            return 0, ""

    def events(self):
        lines = self.output.read_text("utf-8").splitlines()
        return [json.loads(line)["event"] for line in lines if line.startswith("{")]


@pytest.fixture
def launch(nats, port, tmp_path):
    """Starts api processes on the test's bus; none outlives the test."""
    started = []

    def start(**flags):
        listen, where = f"127.0.0.1:{port()}", f"127.0.0.1:{port()}"
        settings = {"nats": nats.url, "credentials": nats.credentials, "listen": listen, "metrics": where, **flags}
        output = tmp_path / f"api-{len(started)}.log"
        argv = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with output.open("wb") as file:
            popen = subprocess.Popen([sys.executable, "-m", "services.api", *argv], stdout=file, stderr=file)
        process = Process(popen, str(settings["listen"]), str(settings["metrics"]), output)
        started.append(process)
        return process

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


@pytest.fixture
def register(tmp_path):
    return load(write_register(tmp_path / "register"))


async def until(condition):
    """Wait until an async condition holds, but no longer than the deadline."""
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # noqa: ASYNC110  # the condition is another process's, it sends no event
            await asyncio.sleep(0.02)


async def put_blocks(bus, register, **options):
    for key, block in blocks_of(register, **options).items():
        await bus.kv_put(INDICATOR, key, encoded(block))


async def health_of(channel, name=""):
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        return (await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)).status
    except grpc.aio.AioRpcError:
        return None


async def with_register(channel):
    stub = register_service_pb2_grpc.RegisterServiceStub(channel)
    try:
        await stub.GetRegister(register_service_pb2.GetRegisterRequest(), timeout=5)
    except grpc.aio.AioRpcError:
        return False
    return True


@asynccontextmanager
async def serving(launch, nats, register):
    """An api that serves the register and a first set of blocks: its process, and a channel to it."""
    async with nats.connect("register") as bus:
        await publish(bus, register, now=AS_OF)
    async with nats.connect("scorer") as bus:
        await put_blocks(bus, register)
    process = launch()
    async with grpc.aio.insecure_channel(process.listen) as channel:

        async def is_serving():
            return await health_of(channel) == SERVING

        await until(is_serving)
        yield process, channel


async def test_health_says_serving_only_with_register_and_government(launch, nats, register):
    """Health over gRPC (whole and per API service) and /health turn with the picture: no register, no block, both."""
    process = launch()
    async with grpc.aio.insecure_channel(process.listen) as channel:

        async def states(expected):
            found = {await health_of(channel, name) for name in ("", *NAMES)}
            return found == {expected} and process.page("/health")[0] == (200 if expected == SERVING else 503)

        await until(lambda: states(NOT_SERVING))
        async with nats.connect("register") as bus:
            await publish(bus, register, now=AS_OF)
        await until(lambda: with_register(channel))
        assert await states(NOT_SERVING)
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register)
        await until(lambda: states(SERVING))
        assert await health_of(channel, "peyvand.v1.Unknown") is None


async def test_a_stranger_needs_nothing_but_reflection(launch, nats, register):
    """A client that knows no message of ours finds the API services, gets the government's indicator and watches it."""
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
        assert {*NAMES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names
        assert (government.id, government.as_of.seconds) == ("country", AS_OF)
        assert first == government
        assert second.as_of.seconds == AS_OF + 300
        assert second.point < first.point


async def test_slots_are_read_from_the_bus_on_demand(launch, nats, register):
    """A slot block put after the api started is found when a link's slots are asked for."""
    slot = AS_OF // 300 - 100
    cells = {("deed-tax", slot, "north"): (Outcome.INVALID, Reason.TEST_RECORD)}
    async with serving(launch, nats, register) as (_, channel):
        async with nats.connect("scorer") as bus:
            block = slot_block_of(register, "land-registry", slot // 64, cells)
            await bus.kv_put(INDICATOR, f"slot.land-registry.{slot // 64}", encode_slot_block(block))
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetLinkRequest(
            link="deed-tax", slots_from=timestamp(slot * 300), slots_to=timestamp((slot + 1) * 300)
        )
        (found,) = (await stub.GetLink(request, timeout=DEADLINE)).slots
        assert (found.verdict, found.reason) == (Outcome.INVALID, Reason.TEST_RECORD)


async def test_a_block_too_large_for_a_message_is_answered_from(launch, nats, register):
    """With more providers than fit a message the api answers from the government's block, and from the next one."""
    async with serving(launch, nats, register) as (_, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetIndicatorRequest(kind=Kind.PROVIDER, id="civil-registry", window_days=28)

        async def as_of():
            try:
                return (await stub.GetIndicator(request, timeout=5)).indicator.as_of.seconds
            except grpc.aio.AioRpcError:
                return None

        async with nats.connect("scorer") as bus:
            for moment in (AS_OF + 300, AS_OF + 600):
                blocks = blocks_of(register, as_of=moment)
                government = blocks.pop("government")
                row = next(one for one in government.indicators if one.kind == Kind.PROVIDER and one.window_days == 28)
                many = tuple(replace(row, id=f"agency-{number:05d}") for number in range(10_000))
                payload = encoded(replace(government, indicators=government.indicators + many))
                assert len(payload) > LARGEST
                for key, block in blocks.items():
                    await bus.kv_put(INDICATOR, key, encoded(block))
                await bus.kv_put(INDICATOR, "government", payload)

                async def refreshed(moment=moment):
                    return await as_of() == moment

                await until(refreshed)


async def test_the_api_lives_through_a_restart_of_the_bus(launch, nats, register):
    """While the bus is gone the api answers with as_of as it was; after its restart it takes in what is new by itself."""
    async with serving(launch, nats, register) as (process, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetIndicatorRequest(kind=Kind.GOVERNMENT)

        async def as_of():
            return (await stub.GetIndicator(request, timeout=5)).indicator.as_of.seconds

        async def has(event):
            return event in process.events()

        async def refreshed():
            return await as_of() == AS_OF + 300

        nats.kill()
        await until(lambda: has("bus_disconnected"))
        assert await as_of() == AS_OF
        nats.start()
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register, as_of=AS_OF + 300)
        await until(refreshed)
        assert await health_of(channel) == SERVING


async def test_a_new_register_is_taken_in_without_a_restart(launch, nats, register, tmp_path):
    """A published successor is in force for the api moments later."""
    successor = load(write_register(tmp_path / "successor", links_csv=(",0.99,2", ",0.99,4")))
    async with serving(launch, nats, register) as (_, channel):
        stub = register_service_pb2_grpc.RegisterServiceStub(channel)
        async with nats.connect("register") as bus:
            await publish(bus, successor, now=AS_OF + 60)

        async def in_force():
            answer = await stub.GetRegister(register_service_pb2.GetRegisterRequest(), timeout=5)
            return (answer.register_version, answer.published.seconds) == (successor.register_version, AS_OF + 60)

        await until(in_force)


async def test_an_unreadable_block_changes_nothing(launch, nats, register):
    """Bytes that are no block are logged and ignored; what was known stays."""
    async with serving(launch, nats, register) as (process, channel):
        async with nats.connect("scorer") as bus:
            await bus.kv_put(INDICATOR, "consumer.customs", b"\xff\xff\xff")
            await bus.kv_put(INDICATOR, "government", b"")

        async def logged():
            return process.events().count("block_unreadable") == 2

        await until(logged)
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetIndicatorRequest(kind=Kind.LINK, id="permit-tax")
        assert (await stub.GetIndicator(request, timeout=5)).indicator.as_of.seconds == AS_OF


async def test_sigterm_drains_and_ends_well(launch, nats, register):
    """On SIGTERM a health watcher hears NOT_SERVING, watches end with UNAVAILABLE, and the process exits with 0."""
    async with serving(launch, nats, register) as (process, channel):
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == SERVING
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        watch = stub.WatchIndicators(indicator_service_pb2.WatchIndicatorsRequest(kind=Kind.GOVERNMENT))
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
    """When another process listens there, the api says so, names the address and the way out, and exits with 1."""
    first = launch()

    async def listens():
        return "listening" in first.events()

    await until(listens)
    second = launch(listen=first.listen)
    assert await asyncio.to_thread(second.popen.wait, DEADLINE) == 1
    last = second.output.read_text("utf-8").splitlines()[-1]
    assert last.startswith("peyvand api: ")
    assert first.listen in last
    assert "--listen" in last
    bad = launch(listen="nowhere")
    assert await asyncio.to_thread(bad.popen.wait, DEADLINE) == 1
    assert "'nowhere' is not HOST:PORT" in bad.output.read_text("utf-8")


async def test_who_sees_a_new_government_finds_the_rest_as_new(launch, nats, register):
    """A government block that overtakes the agencies' blocks is held back until they are there."""
    async with serving(launch, nats, register) as (_, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        watch = stub.WatchIndicators(indicator_service_pb2.WatchIndicatorsRequest(kind=Kind.GOVERNMENT))
        assert (await watch.read()).indicator.as_of.seconds == AS_OF

        async def look_around():
            seen = (await watch.read()).indicator.as_of.seconds
            request = indicator_service_pb2.ListIndicatorsRequest(kind=Kind.CONSUMER)
            listed = await stub.ListIndicators(request, timeout=5)
            return seen, {one.as_of.seconds for one in listed.indicators}

        looking = asyncio.ensure_future(look_around())
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register, as_of=AS_OF + 300)  # the government's comes first
        async with asyncio.timeout(DEADLINE):
            assert await looking == (AS_OF + 300, {AS_OF + 300})
        watch.cancel()


async def test_the_first_government_waits_for_every_agency(launch, nats, register):
    """Until each consumer's block is there, the first government's is held back: nothing is told as not applicable."""
    blocks = {key: encoded(block) for key, block in blocks_of(register).items()}
    (late, *_), government = [key for key in blocks if key.startswith("consumer.")], "government"
    process = launch()
    async with grpc.aio.insecure_channel(process.listen) as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        watch = stub.WatchIndicators(
            indicator_service_pb2.WatchIndicatorsRequest(kind=Kind.GOVERNMENT), wait_for_ready=True
        )
        seen = asyncio.ensure_future(watch.read())
        async with nats.connect("register") as bus:
            await publish(bus, register, now=AS_OF)
        await until(lambda: with_register(channel))
        async with nats.connect("scorer") as bus:
            for key in (government, *blocks.keys() - {government, late}):
                await bus.kv_put(INDICATOR, key, blocks[key])
            await asyncio.wait({seen}, timeout=0.5)
            assert not seen.done()
            await bus.kv_put(INDICATOR, late, blocks[late])
        async with asyncio.timeout(DEADLINE):
            assert (await seen).indicator.as_of.seconds == AS_OF
        request = indicator_service_pb2.GetIndicatorRequest(kind=Kind.CONSUMER, id=late.removeprefix("consumer."))
        assert (await stub.GetIndicator(request, timeout=5)).indicator.as_of.seconds == AS_OF
