"""A bounded number of concurrent calls; each releases its slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.core.bus.client import BoundedTaskGroup, Call
from services.core.errors import BusError
from tests.support.waiting import DEADLINE


async def test_no_more_than_so_many_are_under_way() -> None:
    """Slots are shared by all callers, those with an asynchronous source too."""
    inflight, under_way, most, made = BoundedTaskGroup(3), 0, 0, 0

    async def call() -> None:
        nonlocal under_way, most, made
        under_way += 1
        most, made = max(most, under_way), made + 1
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1

    async def source() -> AsyncIterator[Call]:
        for _ in range(12):
            await asyncio.sleep(0)
            yield call

    await asyncio.gather(inflight.run([call] * 12), inflight.run(source()))
    assert (most, made, under_way) == (3, 24, 0)


async def test_a_failure_leaves_all_places_free() -> None:
    """The first failure is raised, all other calls are cancelled, and every slot is free again."""
    inflight, begun = BoundedTaskGroup(4), 0

    async def fail() -> None:
        raise BusError("the bus is gone")

    async def wait() -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    for _ in range(3):
        with pytest.raises(BusError, match="the bus is gone"):
            await inflight.run([fail, wait, wait, wait])
    assert begun == 0

    async def meet() -> None:
        await together.wait()

    together = asyncio.Barrier(4)
    async with asyncio.timeout(DEADLINE):
        await inflight.run([meet] * 8)
