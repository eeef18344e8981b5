"""A real gRPC server over a state made by hand, and a channel to it. Not a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_service_pb2_grpc, register_service_pb2_grpc
from services.api.access.roles import UNRESTRICTED
from services.api.answers import SealedDays
from services.api.component import SERVICE_NAMES, ServerState, api_services, call_conduct
from services.api.health import HealthReporter
from services.api.model.register_view import RegisterView
from services.api.server import running_server
from services.core.blocks.read import BlockReader
from services.core.log import logger
from services.core.runtime import Health
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.registers import write_register
from tests.support.values.block_columns import encoded


@dataclass
class Bucket:
    """Bucket `indicator` in memory: values by key, or an error for every read."""

    values: dict = field(default_factory=dict)
    error: Exception | None = None

    async def kv_get(self, _, key):
        if self.error is not None:
            raise self.error
        return self.values.get(key)

    async def kv_all(self, _, pattern):
        if self.error is not None:
            raise self.error
        return {key: value for key, value in self.values.items() if key.startswith(pattern.rstrip("*"))}


class Api:
    """The server's state, which a test may change, and stubs that call the server."""

    def __init__(self, *, state, registry, bucket, channel, register, address):
        self.state = state
        self.registry = registry
        self.bucket = bucket
        self.register = register
        self.channel = channel
        self.address = address
        self.indicators = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        self.registers = register_service_pb2_grpc.RegisterServiceStub(channel)

    def take_register(self, register=None):
        self.state.model.replace_register(RegisterView(register or self.register, published=AS_OF - 0.5))
        self.state.hub.note_register()

    def take(self, key, block):
        """Apply one block from the bus; None for a deleted one."""
        kept = None if block is None else BlockReader.of(encoded(block))
        self.state.hub.publish(self.state.model.replace_block(key, kept))

    def take_blocks(self, **options):
        for key, block in blocks_of(self.register, **options).items():
            self.take(key, block)

    def counted(self, method, code):
        return self.registry.get_sample_value("peyvand_api_requests_total", {"method": method, "code": code})


def served(
    state=None,
    registry=None,
    *,
    address="127.0.0.1:0",
    services=None,
    reporter=None,
    credentials=None,
    identify=lambda _: UNRESTRICTED,
    peer_calls=100,
    rounds=None,
    dataset="",
):
    """Serve a state (by default an empty one) with the clock at AS_OF. The context manager yields the port."""
    registry = registry or CollectorRegistry()
    state = state or ServerState(CollectorRegistry())
    return running_server(
        address,
        api_services(state, clock=lambda: float(AS_OF), rounds=rounds, sealed=SealedDays(dataset) if dataset else None)
        if services is None
        else services,
        call_conduct(state, registry, logger(), identify=identify, peer_calls=peer_calls),
        reporter or HealthReporter(SERVICE_NAMES, Health()),
        credentials,
    )


@pytest.fixture(scope="session")
def register(tmp_path_factory):
    """A register that no test changes."""
    return load_register(write_register(tmp_path_factory.mktemp("api") / "register"))


@pytest.fixture
async def empty_api(register, tmp_path):
    """An api without register and blocks. Its folder of rounds is ``rounds``, and its clock stands at AS_OF."""
    registry, bucket = CollectorRegistry(), Bucket()
    state = ServerState(registry)
    state.bus = cast(Any, bucket)
    async with (
        served(state, registry, rounds=tmp_path / "rounds") as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield Api(
            state=state,
            registry=registry,
            bucket=bucket,
            channel=channel,
            register=register,
            address=f"127.0.0.1:{port}",
        )
        state.hub.close()


@pytest.fixture
async def api(empty_api):
    """An api with the register and a first set of blocks."""
    empty_api.take_register()
    empty_api.take_blocks()
    return empty_api


@pytest.fixture
def refusal():
    """A function that makes a call, which must fail, and returns its code, ErrorInfo and message."""

    async def expect(call):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (call.read() if hasattr(call, "read") else call)
        error = caught.value
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(cast(Any, _Call(error)))
        assert status is not None
        assert status.details[0].Unpack(info)
        assert info.domain == "peyvand"
        assert status.message == error.details()
        return error.code(), info, error.details()

    return expect


class _Call:
    """Adapts an AioRpcError to the call interface that grpc_status reads."""

    def __init__(self, error):
        self._error = error

    def trailing_metadata(self):
        return tuple(self._error.trailing_metadata())

    def code(self):
        return self._error.code()

    def details(self):
        return self._error.details()
