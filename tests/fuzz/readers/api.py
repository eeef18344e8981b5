"""Readers of the input of callers of the api: every request, and page tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn, cast

import grpc
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from services.api.component import ServerState, api_services, call_conduct
from services.api.errors import RequestError
from services.api.model.register_view import RegisterView
from services.api.paging import page_token, token_position
from services.api.rpc import service_handlers
from services.core.blocks import BlockReader
from services.core.log import logger
from tests.fuzz.reader import Reader
from tests.fuzz.readers.bus import register
from tests.support.cases.api.answers import requests_by_method
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.values.block_columns import encoded

__all__ = ["READERS"]

_METHODS = tuple(
    f"/{service.full_name}/{method.name}"
    for file in (indicator_service_pb2.DESCRIPTOR, register_service_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
)
_QUERY = ("ListLinks", "country")
_TURNS = 20  # of the event loop, enough for an answer that needs no waiting


class _AbortedError(Exception):
    """The call was ended with a status."""


class _Context:
    """The context of a call with one request, as far as the api uses it."""

    def __init__(self, request: bytes) -> None:
        self._requests = [request]

    async def read(self) -> object:
        return self._requests.pop() if self._requests else grpc.aio.EOF

    async def abort(self, code: grpc.StatusCode, details: str, _: object = ()) -> NoReturn:
        assert code is not grpc.StatusCode.INTERNAL, details
        raise _AbortedError(details)

    async def write(self, _: object) -> None:
        pass

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    def time_remaining(self) -> float:
        return 1.0

    def peer(self) -> str:
        return "ipv4:192.0.2.1:1"

    def invocation_metadata(self) -> tuple[()]:
        return ()


class _EmptyBus:
    """A bus that holds nothing."""

    async def kv_get(self, *_: object) -> None:
        return None

    async def kv_all(self, *_: object) -> dict[str, bytes]:
        return {}

    async def read(self, *_: object, **__: object) -> list[object]:
        return []


@cache
def _handlers() -> tuple[grpc.GenericRpcHandler, ...]:
    registry = CollectorRegistry()
    state = ServerState(registry)
    state.bus = cast(Any, _EmptyBus())
    state.model.replace_register(RegisterView(register(), published=AS_OF - 0.5))
    for key, block in blocks_of(register()).items():
        state.model.replace_block(key, BlockReader.of(encoded(block)))
    conduct = call_conduct(state, registry, logger(), peer_calls=_TURNS)
    services = api_services(state, clock=lambda: float(AS_OF))
    return tuple(service_handlers(service, servicer, conduct) for service, servicer in services.items())


class _Details:
    """What gRPC reports about a call before its request."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


def _call(data: bytes) -> None:
    """Call the method that the first byte names with the request that follows."""
    details: Any = _Details(_METHODS[data[0] % len(_METHODS)] if data else _METHODS[0])
    handler: Any = next(found for one in _handlers() if (found := one.service(details)) is not None)
    behaviour = handler.stream_stream if handler.response_streaming else handler.stream_unary
    asyncio.run(_answer(behaviour(None, _Context(data[1:]))))


async def _answer(answering: Any) -> None:
    call = asyncio.ensure_future(answering)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
        if call.done():
            break
    call.cancel()
    with suppress(_AbortedError, asyncio.CancelledError):
        await call


def _requests() -> Iterator[bytes]:
    by_method = requests_by_method("deed-tax", "title-deed", "land-registry", 7)
    for number, method in enumerate(_METHODS):
        for request in by_method[method.rpartition("/")[2]]:
            yield bytes([number]) + request.SerializeToString()


READERS = (
    Reader("api request", _call, _requests),
    Reader(
        "page token",
        lambda data: token_position(_QUERY, data.decode("latin-1")),
        lambda: [page_token(_QUERY, "deed-tax").encode()],
        (RequestError,),
    ),
)
