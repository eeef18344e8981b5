"""Keys of a bucket of a real bus that only one process holds at a time."""

from __future__ import annotations

import asyncio

from services.core.bus import INDICATOR_BUCKET, LEASE_KEY, Bus, Claim
from tests.support.waiting import DEADLINE, eventually


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


async def test_a_key_that_is_given_up_late_stays_with_its_next_holder(nats, monkeypatch) -> None:
    """A deletion that is stuck in a connection until another process holds the key does not remove it."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as one, nats.connect("scorer") as two:
        first = Claim(one, INDICATOR_BUCKET, LEASE_KEY, name="1", seconds=60)
        second = Claim(two, INDICATOR_BUCKET, LEASE_KEY, name="2", seconds=60)
        assert await first.take() == "1"
        stuck, released, publish = asyncio.Event(), asyncio.Event(), one.jetstream.publish

        async def late(*args, **named):
            stuck.set()
            await released.wait()
            return await publish(*args, **named)

        monkeypatch.setattr(one.jetstream, "publish", late)
        giving_up = asyncio.create_task(first.give_up())
        await stuck.wait()
        await two.kv_delete(INDICATOR_BUCKET, LEASE_KEY)  # as when it expires
        assert await second.take() == "2"
        released.set()
        await giving_up
        assert await two.kv_get(INDICATOR_BUCKET, LEASE_KEY) == b"2"


async def test_a_claim_that_is_given_up_is_free_at_once(nats) -> None:
    """A process that gives a key up leaves it to the next one, also when it was renewed without an acknowledgement."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as one, nats.connect("scorer") as two:
        first = Claim(one, INDICATOR_BUCKET, LEASE_KEY, name="1", seconds=60)
        second = Claim(two, INDICATOR_BUCKET, LEASE_KEY, name="2", seconds=60)
        assert await first.take() == "1"
        await one.kv_put(INDICATOR_BUCKET, LEASE_KEY, b"1", ttl=60)
        assert await second.take() == "1"
        await first.give_up()
        assert await second.take() == "2"
