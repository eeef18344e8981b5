"""Keys of a bucket of a real bus that only one process holds at a time."""

from __future__ import annotations

import asyncio

from services.core.bus import INDICATOR_BUCKET, LEASE_KEY, Bus, Claim
from tests.support.waiting import eventually


async def test_of_several_claims_one_succeeds(nats) -> None:
    """A claim fails while another value exists, in either order, and succeeds once that one is deleted or has expired."""
    async with nats.connect("scorer") as one, nats.connect("scorer") as two:

        async def claim(bus: Bus, name: str, *, seconds: float = 60) -> str:
            return await Claim(bus, INDICATOR_BUCKET, LEASE_KEY, name=name, seconds=seconds).take()

        for _ in range(20):
            assert {await claim(one, "1"), *await asyncio.gather(claim(one, "1"), claim(two, "2"))} == {"1"}
            assert await claim(two, "2") == "1"
            await one.kv_delete(INDICATOR_BUCKET, LEASE_KEY)
            first, second = await asyncio.gather(claim(one, "1"), claim(two, "2"))
            assert first == second
            await one.kv_delete(INDICATOR_BUCKET, LEASE_KEY)
        assert await claim(one, "1", seconds=1) == "1"

        async def expired() -> bool:
            return await claim(two, "2") == "2"

        await eventually(expired, "the claim has expired")
