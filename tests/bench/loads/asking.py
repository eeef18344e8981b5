"""Clients of the api for its benchmark: ``python -m tests.bench.loads.asking ADDRESS WHAT NUMBERS``.

It prints one line of JSON when it is done. Watchers print one line whenever all of them have received an update.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

import grpc.aio

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages

__all__: list[str] = []

CHANNELS = 4
_LINK = indicator_pb2.INDICATOR_KIND_LINK
_GOVERNMENT = indicator_pb2.INDICATOR_KIND_GOVERNMENT


async def get(address: str, links: int, seconds: int, inflight: int) -> None:
    """Request indicators of random links, ``inflight`` at once, for so many seconds."""
    chance, took = random.Random(3), list[float]()
    async with grpc.aio.insecure_channel(address) as channel:
        ask = indicator_service_pb2_grpc.IndicatorServiceStub(channel).GetIndicator
        until = time.perf_counter() + seconds

        async def one_after_another() -> None:
            while (begun := time.perf_counter()) < until:
                request = messages.GetIndicatorRequest(
                    kind=_LINK, id=f"link-{chance.randrange(links):07d}", window_days=28
                )
                await ask(request)
                took.append(time.perf_counter() - begun)

        await asyncio.gather(*(one_after_another() for _ in range(inflight)))
    _say({"calls": len(took), "seconds": seconds, **_spread(took)})


async def explain(address: str, links: int, calls: int, step: int) -> None:
    """Request explanations of random links, one after another, among every ``step``-th link."""
    chance, took = random.Random(4), list[float]()
    async with grpc.aio.insecure_channel(address) as channel:
        ask = indicator_service_pb2_grpc.IndicatorServiceStub(channel).ExplainIndicator
        for _ in range(calls):
            begun = time.perf_counter()
            await ask(messages.ExplainIndicatorRequest(kind=_LINK, id=f"link-{chance.randrange(0, links, step):07d}"))
            took.append(time.perf_counter() - begun)
    _say({"first": took[0] * 1000, **_spread(took[1:])})


async def watch(address: str, watchers: int, updates: int, _: int) -> None:
    """Watch the government, so many at once. Print when all have the current index, and each update after it."""
    heard: dict[int, int] = {}

    async def one(stub: indicator_service_pb2_grpc.IndicatorServiceStub) -> None:
        stream: Any = stub.WatchIndicators(messages.WatchIndicatorsRequest(kind=_GOVERNMENT))
        for _ in range(updates + 1):
            as_of = (await stream.read()).indicator.as_of.seconds
            heard[as_of] = heard.get(as_of, 0) + 1
            if heard[as_of] == watchers:
                _say({"as_of": as_of, "at": time.time()})

    channels = [
        grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(CHANNELS)
    ]
    stubs = [indicator_service_pb2_grpc.IndicatorServiceStub(channel) for channel in channels]
    await asyncio.gather(*(one(stubs[at % CHANNELS]) for at in range(watchers)))
    for channel in channels:
        await channel.close()


def _spread(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {name: ordered[int(len(ordered) * share)] * 1000 for name, share in at.items()}


def _say(found: dict[str, float]) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201  # the benchmark reads this


if __name__ == "__main__":
    asyncio.run({"get": get, "explain": explain, "watch": watch}[sys.argv[2]](sys.argv[1], *map(int, sys.argv[3:6])))
