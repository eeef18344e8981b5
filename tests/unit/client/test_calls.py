"""Calls of the client when the api refuses, is slow, or goes away."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from itertools import count

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_pb2
from services.api import server
from services.api.access.roles import Caller, Role
from services.api.component import ServerState
from services.api.model.register_view import RegisterView
from services.api.rpc import statuses
from services.api.server import SHARES
from services.client import Client, IndicatorKind, connect
from services.client.calls import MAX_REQUEST_BYTES, Calls
from services.client.connection import OPTIONS
from services.core.blocks.read import BlockReader
from services.core.errors import ApiError, ApiNotApplicableError, ApiNotFoundError, ApiUnavailableError
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.cases.api.server import served
from tests.support.values.block_columns import encoded
from tests.support.waiting import DEADLINE


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        (lambda client: client.indicator(IndicatorKind.LINK, "no"), ApiNotFoundError, "LINK_UNKNOWN"),
        (lambda client: client.indicator(IndicatorKind.PROVIDER, "nothing"), ApiNotApplicableError, "NOT_APPLICABLE"),
        (lambda client: client.indicator(IndicatorKind.GOVERNMENT, "", 5), ApiError, "WINDOW_UNKNOWN"),
        (lambda client: client.traffic(), ApiUnavailableError, "TRAFFIC_UNPUBLISHED"),
    ],
)
async def test_a_refusal_is_an_error_of_ours(api, client, call, error, reason):
    """Each refusal has an exception class, a constant reason, and the api's sentence with its address."""
    agencies = {**api.register.agencies, "nothing": replace(api.register.agencies["customs"], id="nothing")}
    api.take_register(replace(api.register, agencies=agencies))
    with pytest.raises(ApiError) as refused:
        await call(client)
    assert (type(refused.value), refused.value.reason) == (error, reason)
    assert str(refused.value).startswith(f"api at {api.address}: ")
    assert "\n" not in str(refused.value)


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server until the client has gone."""
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_an_api_that_is_not_there_is_told_apart(port):
    """No server, no such name, a web server, a silent server and another server each have their own sentence."""
    async with connect(f"127.0.0.1:{port()}", timeout=DEADLINE) as client:
        with pytest.raises(ApiUnavailableError, match=r"does not answer: start it, or ask another$"):
            await client.register()
    unresolved = f"{'a' * 64}.example:7410"  # a label may have 63 characters, so no name server needs to be asked
    async with connect(unresolved, timeout=DEADLINE) as client:
        with pytest.raises(ApiUnavailableError) as unknown:
            await client.register()
    assert str(unknown.value) == (
        f"api at {unresolved} has a name that cannot be resolved: check the name and the name servers, or ask another"
    )
    async with await asyncio.start_server(_greet, "127.0.0.1", 0) as greeter:
        address = f"127.0.0.1:{greeter.sockets[0].getsockname()[1]}"
        async with connect(address, timeout=DEADLINE) as client:
            with pytest.raises(
                ApiUnavailableError, match=r"answers as something else than an api, such as the console"
            ):
                await client.register()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with connect(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.2) as client:
            with pytest.raises(ApiUnavailableError, match=r"did not answer within 0.2 s: try again, or ask another$"):
                await client.register()
    async with (
        served(services={}) as other,
        connect(f"127.0.0.1:{other}", timeout=DEADLINE) as client,
    ):
        with pytest.raises(ApiError, match=r"is no api of ours \(UNIMPLEMENTED\): ask another$") as refused:
            await client.register()
    assert type(refused.value) is ApiError


async def test_a_status_that_grpc_replaced_is_an_error_of_ours(client, monkeypatch):
    """An api of an earlier version sends longer statuses. gRPC may replace the code of such a status, and keep the rest."""
    monkeypatch.setattr(statuses, "_SENTENCE_BYTES", 10_000)
    with pytest.raises(ApiUnavailableError, match=r"takes no more calls at the moment: try again later$"):
        await client.indicator(IndicatorKind.PROVIDER, "پ" * 2_000)


async def test_a_list_ends_with_the_error_of_its_page(client):
    """A refused page raises the same error as a single call."""
    with pytest.raises(ApiNotFoundError):
        [link async for link in client.links(consumer="nobody")]


async def test_a_watch_yields_changes(api, client):
    """A watch yields the current state of the requested entities at once, then each change."""
    watch = client.watch(IndicatorKind.PROVIDER, ["customs"])
    assert (await anext(watch)).evidence_sequence == 7
    api.take_blocks(as_of=AS_OF + 300, sequence=8)
    assert (await anext(watch)).evidence_sequence == 8
    await watch.aclose()


@asynccontextmanager
async def serving(register, port, *, sequence):
    """Serve a register and blocks of one evidence sequence on a port, and drain at the end."""
    state = ServerState(CollectorRegistry())
    state.model.replace_register(RegisterView(register))
    for key, block in blocks_of(register, sequence=sequence).items():
        state.model.replace_block(key, BlockReader.of(encoded(block)))
    async with served(state, address=f"127.0.0.1:{port}"):
        yield
        state.hub.close()


async def test_a_watch_goes_on_after_the_api_was_away(register, port):
    """A watch may begin before the api runs. It waits while the api is away, and then yields the current state."""
    address = f"127.0.0.1:{port()}"
    pauses: list[float] = []

    def pause():
        pauses.append(0.0)
        return 0.0

    async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
        watch = Client(channel, Calls(address, DEADLINE, pause=pause)).watch(IndicatorKind.GOVERNMENT)
        first = asyncio.ensure_future(anext(watch))
        async with serving(register, address.rpartition(":")[2], sequence=7):
            assert (await first).evidence_sequence == 7
            following = asyncio.ensure_future(anext(watch))
        async with serving(register, address.rpartition(":")[2], sequence=9):
            assert (await following).evidence_sequence == 9
        await watch.aclose()
    assert pauses


async def test_what_the_server_cancels_may_succeed_later(api, monkeypatch):
    """A call that the server has no room for is cancelled, like one that arrives as it ends. A watch begins again."""
    monkeypatch.setattr(server, "_PENDING_STREAMS", 1)
    async with (
        served(api.state) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel,
    ):
        client = Client(channel, Calls("", DEADLINE, pause=lambda: 0.0))
        calls = (client.indicator(IndicatorKind.GOVERNMENT) for _ in range(90))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(one) for one in outcomes} <= {ApiUnavailableError, indicator_pb2.Indicator}
        cancelled = [one for one in outcomes if isinstance(one, ApiUnavailableError)]
        assert all(str(one).endswith(" ended the call: try again, or ask another") for one in cancelled)
        watches = [client.watch(IndicatorKind.GOVERNMENT) for _ in range(50)]
        async with asyncio.timeout(DEADLINE):
            assert {one.evidence_sequence for one in await asyncio.gather(*map(anext, watches))} == {7}
        for watch in watches:
            await watch.aclose()


async def test_an_api_that_is_full_may_answer_later(api):
    """Beyond the calls that all callers may have, gRPC refuses a call without a reason of ours."""
    peers = count()
    identify = lambda _: Caller(Role.AUDITOR, peer=str(next(peers)))  # noqa: E731
    async with served(api.state, peer_calls=1, identify=identify) as port, AsyncExitStack() as stack:
        options = (
            *OPTIONS,
            ("grpc.use_local_subchannel_pool", 1),
        )  # on a shared connection a client waits for its turn
        for _ in range(SHARES):
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options))
            watch = Client(channel, Calls("", DEADLINE)).watch(IndicatorKind.GOVERNMENT)
            await stack.enter_async_context(aclosing(watch))
            await anext(watch)
        client = await stack.enter_async_context(connect(f"127.0.0.1:{port}", timeout=DEADLINE))
        with pytest.raises(ApiUnavailableError, match=r"takes no more calls at the moment: try again later$"):
            await client.register()


async def test_a_request_that_is_too_long_is_not_sent(client):
    """The api refuses a longer request as it refuses one call too many, which a watch would make again for ever."""
    ids = [f"{number:063}" for number in range(1100)]
    assert server.MAX_REQUEST_BYTES == MAX_REQUEST_BYTES
    for answers in (client.links(links=ids), client.watch(IndicatorKind.CONSUMER, ids)):
        with pytest.raises(
            ApiError, match=r"has \d+ bytes, and an api takes 65536: name fewer ids at once$"
        ) as refused:
            async with asyncio.timeout(DEADLINE):
                await anext(answers)
        assert type(refused.value) is ApiError
    with pytest.raises(ApiNotFoundError):
        await anext(client.watch(IndicatorKind.CONSUMER, ids[:1000]))


async def test_a_watch_that_is_refused_is_an_error(client):
    """A watch that can never begin does not retry."""
    with pytest.raises(ApiNotFoundError):
        await anext(client.watch(IndicatorKind.PROVIDER, ["nobody"]))
