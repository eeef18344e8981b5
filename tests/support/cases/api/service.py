"""The api as a process on a real nats-server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from peyvand.v1 import register_service_pb2, register_service_pb2_grpc
from services.core.bus.names import INDICATOR_BUCKET
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, values_of
from tests.support.forked import ForkedProcess
from tests.support.processes import Process
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE, EAGER, eventually

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Api(Process):
    """One api process and its gRPC address."""

    listen: str


@pytest.fixture
def launch(nats, port, tmp_path):
    """A function that starts api processes on the test's bus, with flags and constants. They end with the test."""
    started: list[Api] = []

    def start(constants=MappingProxyType({}), **flags):
        listen, where = f"127.0.0.1:{port()}", f"127.0.0.1:{port()}"
        settings = {"nats": nats.url, "credentials": nats.credentials, "listen": listen, "metrics": where, **flags}
        output = tmp_path / f"api-{len(started)}.log"
        argv = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        popen = ForkedProcess("services.api", *argv, stdout=output, constants=constants)
        process = Api(popen, output, str(settings["metrics"]), str(settings["listen"]))
        started.append(process)
        return process

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


@pytest.fixture
def register(tmp_path):
    return load_register(write_register(tmp_path / "register"))


async def put_blocks(bus, register, **options):
    for key, value in values_of(register, **options).items():
        await bus.kv_put(INDICATOR_BUCKET, key, value)


async def health_of(channel, name=""):
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        return (await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE)).status
    except grpc.aio.AioRpcError:
        return None


async def with_register(channel):
    stub = register_service_pb2_grpc.RegisterServiceStub(channel)
    try:
        await stub.GetRegister(register_service_pb2.GetRegisterRequest(), timeout=DEADLINE)
    except grpc.aio.AioRpcError:
        return False
    return True


@asynccontextmanager
async def serving(launch, nats, register, **options):
    """Run an api that serves the register and a first set of blocks. Yields its process and a channel to it."""
    async with nats.connect("register") as bus:
        await publish_register(bus, register, now=AS_OF)
    async with nats.connect("scorer") as bus:
        await put_blocks(bus, register)
    process = launch(**options)
    async with grpc.aio.insecure_channel(process.listen, EAGER) as channel:

        async def is_serving():
            return await health_of(channel) == SERVING

        await eventually(is_serving, "the api serves")
        yield process, channel
