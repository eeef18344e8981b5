"""A client of the api that runs while faults move the dashboards."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import grpc.aio

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from tests.support.cases.dashboards.register import LINK

__all__ = ["Caller"]


class Caller:
    """A client of the api that requests ``link`` again and again. A test may name one that does not exist."""

    def __init__(self, address: str) -> None:
        self.link = LINK
        self._address = address

    async def call(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
            while True:
                request = messages.GetLinkRequest(link=self.link)
                request.slots_from.FromSeconds(int(time.time()) - 20)
                with suppress(grpc.aio.AioRpcError):
                    await stub.GetLink(request, timeout=4)
                await asyncio.sleep(0.2)

    async def watch(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
            kind = indicator_pb2.INDICATOR_KIND_GOVERNMENT
            while True:  # there is no index yet
                with suppress(grpc.aio.AioRpcError):
                    async for _ in stub.WatchIndicators(messages.WatchIndicatorsRequest(kind=kind)):
                        pass
                await asyncio.sleep(0.2)
