"""Requests that are missing, unreadable or one too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc, register_service_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access.callers import identifier_from_settings
from services.api.access.roles import Caller, Role
from services.api.rpc import handlers
from services.api.server import MAX_REQUEST_BYTES
from services.core.settings import Settings
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.server import served
from tests.support.waiting import DEADLINE, eventually

INVALID, EXHAUSTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
METHODS = [
    f"/{service.full_name}/{method.name}"
    for file in (messages, register_service_pb2, health_pb2, reflection_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
HEALTH = health_pb2.HealthCheckRequest()
WATCH = messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_that_is_no_message_is_refused_in_a_sentence(api, refusal, method):
    """Bytes that are no message of the method are INVALID_ARGUMENT and counted, and the sentence names no internals."""
    code, info, sentence = await refusal(api.channel.unary_unary(method)(b"\xff\xff", timeout=DEADLINE))
    name = method.rpartition("/")[2]
    assert (code, info.reason) == (INVALID, "REQUEST_UNREADABLE")
    assert sentence == f"the request is no message of {name}: generate the client from proto/peyvand/v1"
    assert api.counted(name, "INVALID_ARGUMENT") == 1


@pytest.mark.parametrize("method", [method for method in METHODS if "Reflection" not in method])
async def test_a_call_without_a_request_is_ended(api, refusal, monkeypatch, method):
    """A call that ends its stream without a request is refused, and so is one that keeps it open and sends nothing."""

    async def none() -> AsyncIterator[bytes]:
        return
        yield b""

    async def kept_open() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    for requests, seconds, words in (
        (none(), DEADLINE, "was called without a request"),
        (kept_open(), 0.01, "arrived within 0.01 s"),
    ):
        monkeypatch.setattr(handlers, "REQUEST_SECONDS", seconds)
        code, info, sentence = await refusal(api.channel.stream_unary(method)(requests, timeout=DEADLINE))
        assert (code, info.reason) == (INVALID, "REQUEST_MISSING")
        assert words in sentence


async def test_a_stream_of_requests_that_pauses_is_ended(api, monkeypatch):
    """Reflection answers one request after another, and ends a stream that stays open without another request."""
    monkeypatch.setattr(handlers, "REQUEST_SECONDS", DEADLINE)
    call = api.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")(timeout=DEADLINE)
    request = reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString()
    await call.write(request)
    assert b"peyvand.v1.IndicatorService" in await call.read()
    monkeypatch.setattr(handlers, "REQUEST_SECONDS", 0.01)
    with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # the stream may have been ended meanwhile
        await call.write(request)  # the server may still wait for it as long as before
        while await call.read() is not grpc.aio.EOF:
            pass
    assert await call.code() is INVALID


def _health(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


def _held(api) -> tuple[int, int]:
    """Return the number of watches in the hub, and of their entries by entity."""
    return len(api.state.hub._watches), sum(len(group) for group in api.state.hub._by_key.values())


async def test_an_id_counts_once_in_a_watch(api):
    """A watch that names two ids thousands of times holds two, gets each once, and leaves nothing behind."""
    request = messages.WatchIndicatorsRequest(
        kind=indicator_pb2.INDICATOR_KIND_CONSUMER, ids=["customs", "tax-office"] * 3000
    )
    assert request.ByteSize() < MAX_REQUEST_BYTES
    watch = api.indicators.WatchIndicators(request, timeout=DEADLINE)
    assert [(await watch.read()).indicator.id for _ in range(2)] == ["customs", "tax-office"]
    assert _held(api) == (1, 2)
    api.take_blocks(as_of=AS_OF + 300)
    assert {(await watch.read()).indicator.as_of.seconds for _ in range(2)} == {AS_OF + 300}
    watch.cancel()
    await eventually(lambda: _held(api) == (0, 0), "the watch is gone")


async def test_a_watch_has_a_thousand_ids_at_most(api, refusal):
    """A request with a thousand ids of maximum length is read, more ids are refused, and a longer one is not read."""
    kind = indicator_pb2.INDICATOR_KIND_CONSUMER
    longest = [f"{number:063}" for number in range(1001)]

    def watch(ids, window=2**32 - 1):
        request = messages.WatchIndicatorsRequest(kind=kind, ids=ids, window_days=window)
        return api.indicators.WatchIndicators(request, timeout=DEADLINE)

    _, info, _ = await refusal(watch(longest[:1000]))
    assert info.reason == "WINDOW_UNKNOWN"
    code, info, _ = await refusal(watch([one[-4:] for one in longest], 0))
    assert (code, info.reason, info.metadata["ids"]) == (INVALID, "IDS_TOO_MANY", "1001")
    assert await watch(longest + longest).code() is EXHAUSTED
    assert _held(api) == (0, 0)


@pytest.mark.parametrize("letter", ["x", "پ", "𐎱", "%"])
@pytest.mark.parametrize("length", [100, 2000, 4000, 15_000])
async def test_a_refusal_of_a_long_id_reaches_the_caller(api, refusal, letter, length):
    """However long an unknown id is, the caller gets the code, the reason, and the beginning and end of the sentence."""
    request = messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id=letter * length)
    code, info, sentence = await refusal(api.indicators.GetHistory(request, timeout=DEADLINE))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_IN_ARCHIVE")
    assert sentence.startswith(f"no history is kept of link `{letter * 80}")
    assert sentence.endswith("for its last failures, or GetLink for its slots of the last 48 hours")
    assert info.metadata["id"].startswith(letter * 20)


def _connection(port: int) -> grpc.aio.Channel:
    """Return a channel with its own connection: on a shared one, gRPC holds back calls beyond the limit."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])


async def test_one_peer_may_have_so_many_calls_and_no_more(api, refusal):
    """Watches count too, also of health. One call more is refused, without harm to others, until a watch ends."""
    async with served(api.state, peer_calls=2) as port, _connection(port) as first, _connection(port) as second:
        indicators = indicator_service_pb2_grpc.IndicatorServiceStub(first).WatchIndicators(WATCH, timeout=DEADLINE)
        health = _health(first).Watch(HEALTH, timeout=DEADLINE)
        await indicators.read()
        await health.read()
        code, info, sentence = await refusal(_health(second).Check(HEALTH, timeout=DEADLINE))
        assert (code, info.reason) == (EXHAUSTED, "CALLS_TOO_MANY")
        assert sentence.startswith("2 calls and watches are under way from this caller already")
        health.cancel()

        async def admitted() -> bool:
            return await _health(second).Check(HEALTH, timeout=DEADLINE).code() is grpc.StatusCode.OK

        await eventually(admitted, "there is room for a call")
        indicators.cancel()


async def test_all_peers_together_may_have_ten_times_as_many(api):
    """All callers together have a limit too, even if they are told apart."""
    peers = iter(range(100))
    async with (
        served(api.state, peer_calls=1, identify=lambda _: Caller(Role.AUDITOR, peer=str(next(peers)))) as port,
        AsyncExitStack() as stack,
    ):
        channels = [await stack.enter_async_context(_connection(port)) for _ in range(11)]
        watches = [_health(channel).Watch(HEALTH, timeout=DEADLINE) for channel in channels[:10]]
        for watch in watches:
            await watch.read()
        assert await _health(channels[10]).Check(HEALTH, timeout=DEADLINE).code() is EXHAUSTED


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("ipv4:192.0.2.7:4711", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:4711", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::/64"),
    ],
)
def test_callers_without_certificates_are_told_apart_by_address(address, peer):
    """The port, and the part of an IPv6 address that one host may choose, do not count."""
    identify = identifier_from_settings(Settings())
    assert identify(SimpleNamespace(peer=lambda: address)).peer == peer
