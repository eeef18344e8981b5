"""Buckets of the bus are followed, announced, written atomically and recreated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from nats.errors import StaleConnectionError

from services.core.bus import MAX_ATOMIC_PUTS, Bus
from services.core.bus import streams as bus_streams
from services.core.bus.names import (
    INDICATOR_BUCKET,
    kv_stream,
    kv_subject,
)
from services.core.bus.topology import initialise_streams
from services.core.errors import BusError
from tests.support.waiting import DEADLINE, eventually


async def test_followers_see_every_value_across_a_restart(nats) -> None:
    """A follower of a bucket gets current values, changes and deletions, also after a restart of the server."""
    received: asyncio.Queue[tuple[str, bytes | None]] = asyncio.Queue()

    async def follow() -> None:
        async with nats.connect("api") as bus:
            async for item in bus.kv_follow(INDICATOR_BUCKET, "consumer.*"):
                await received.put(item)

    async def put(bus, key: str, value: bytes) -> None:
        while True:
            try:
                await bus.publish(kv_subject(INDICATOR_BUCKET, key), value, message_id="", timeout=1)
            except BusError:
                continue
            return

    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as bus:
        await put(bus, "consumer.a", b"1")
        await put(bus, "government", b"not followed")
        task = asyncio.create_task(follow())
        assert await received.get() == ("consumer.a", b"1")
        await put(bus, "consumer.a", b"2")
        assert await received.get() == ("consumer.a", b"2")
        nats.kill()
        nats.start()
        await put(bus, "consumer.b", b"3")
        assert await received.get() == ("consumer.b", b"3")
        await bus.kv_delete(INDICATOR_BUCKET, "consumer.a")
        item = await received.get()
        while item == ("consumer.b", b"3"):  # a put that was stored but not acknowledged was repeated
            item = await received.get()
        assert item == ("consumer.a", None)
        task.cancel()


async def test_a_key_is_deleted_once(nats) -> None:
    """Deleting a key that is deleted, or was never put, stores nothing: a scorer that starts deletes all that are not its own."""
    async with nats.connect("scorer") as bus:
        await bus.kv_put(INDICATOR_BUCKET, "consumer.a", b"1")
        await bus.kv_delete(INDICATOR_BUCKET, "consumer.a")
        tombstone = await bus.kv_last(INDICATOR_BUCKET, "consumer.a")
        assert tombstone is not None
        assert tombstone.deleted
        for key in ("consumer.a", "consumer.b"):
            await bus.kv_delete(INDICATOR_BUCKET, key)
        assert (await bus.stream_state(kv_stream(INDICATOR_BUCKET))).last == tombstone.sequence


async def test_a_change_is_announced_once_stored_and_without_its_value(nats) -> None:
    """A follower's subscription receives the key and sequence of what was stored, and neither the value nor a reply subject."""
    announced: asyncio.Queue[Any] = asyncio.Queue()
    async with asyncio.timeout(20), nats.connect("scorer") as scorer, nats.connect("api") as api:
        await api.client.subscribe(kv_subject(INDICATOR_BUCKET, "consumer.*"), cb=announced.put)
        await api.client.flush()
        sequence = await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", bytes(900_000))
        message = await announced.get()
        assert (message.subject, message.data, message.reply) == (kv_subject(INDICATOR_BUCKET, "consumer.a"), b"", "")
        assert message.headers["Nats-Sequence"] == str(sequence)


async def test_values_with_a_time_to_live_go_by_themselves(nats) -> None:
    """A key with a time to live of a second is gone afterwards, without a tombstone."""
    async with nats.connect("scorer") as bus, nats.connect("api") as api:

        async def is_there() -> bool:
            await bus.kv_put(INDICATOR_BUCKET, "slot.a.1", b"x", ttl=1)
            return await api.kv_get(INDICATOR_BUCKET, "slot.a.1") == b"x"

        async def is_gone() -> bool:
            return await api.kv_get(INDICATOR_BUCKET, "slot.a.1") is None

        await eventually(is_there, "the value is read within its second")
        await eventually(is_gone, "the value has gone")
        assert await api.kv_all(INDICATOR_BUCKET) == {}


async def test_values_are_put_together_or_not_at_all(nats) -> None:
    """Values that are put together are read and followed like single ones and expire; if one is refused, all are
    absent.
    """
    values = {f"slot.a.{number}": bytes([number]) * 5000 for number in range(MAX_ATOMIC_PUTS)}
    async with nats.connect("scorer") as bus, nats.connect("api") as api:
        await bus.kv_put_all(INDICATOR_BUCKET, values)
        assert await api.kv_all(INDICATOR_BUCKET, "slot.a.*") == values
        async with asyncio.timeout(DEADLINE):
            async for key, value in api.kv_follow(INDICATOR_BUCKET, "slot.a.*"):
                if key == list(values)[-1]:
                    assert value == values[key]
                    break
        await bus.kv_put_all(INDICATOR_BUCKET, values, ttl=1)
        await bus.kv_put_all(INDICATOR_BUCKET, {"slot.b.1": b"one", "slot.b.2": b"two"})
        with pytest.raises(BusError, match="maximum payload exceeded"):
            await bus.kv_put_all(INDICATOR_BUCKET, {"slot.b.1": b"new", "slot.c.1": bytes(2 << 20), "slot.c.2": b""})
        with pytest.raises(BusError, match="not acknowledged"):
            await bus.kv_put_all(INDICATOR_BUCKET, {f"slot.c.{number}": b"x" for number in range(1001)})
        async with asyncio.timeout(DEADLINE):
            while await api.kv_all(INDICATOR_BUCKET) != {"slot.b.1": b"one", "slot.b.2": b"two"}:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)


async def test_a_bucket_made_anew_is_followed_from_its_beginning(nats, monkeypatch) -> None:
    """The follower of a recreated bucket gets every value, although the sequences are lower than before."""
    monkeypatch.setattr(bus_streams, "_POLL_SECONDS", 0.2)
    async with (
        asyncio.timeout(DEADLINE),
        nats.connect("admin") as admin,
        nats.connect("scorer") as scorer,
        nats.connect("api") as api,
    ):
        for number in range(5):
            await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"%d" % number)
        follower = api.kv_follow(INDICATOR_BUCKET, "consumer.*")
        assert await anext(follower) == ("consumer.a", b"4")
        assert api.following
        following = asyncio.ensure_future(anext(follower))
        await admin.jetstream.delete_stream(kv_stream(INDICATOR_BUCKET))
        while api.following:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
        await initialise_streams(admin)
        while not api.following:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
        await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"new")
        await scorer.kv_put(INDICATOR_BUCKET, "consumer.b", b"new")
        assert await following == ("consumer.a", b"new")
        assert await anext(follower) == ("consumer.b", b"new")
        await follower.aclose()


@asynccontextmanager
async def followed(nats) -> AsyncIterator[tuple[Bus, Bus, Bus, AsyncIterator[tuple[str, bytes | None]]]]:
    """Put five values, and yield admin, scorer and api with a follower of the api that has read the last one."""
    async with (
        asyncio.timeout(DEADLINE),
        nats.connect("admin") as admin,
        nats.connect("scorer") as scorer,
        nats.connect("api") as api,
    ):
        for number in range(5):
            await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"%d" % number)
        async with aclosing(api.kv_follow(INDICATOR_BUCKET, "consumer.*")) as follower:
            assert await anext(follower) == ("consumer.a", b"4")
            yield admin, scorer, api, follower


async def test_a_bucket_that_outgrew_its_reader_is_followed_from_its_beginning(nats, monkeypatch) -> None:
    """A follower that pauses while a bucket is recreated, and grows beyond what it has read, gets every value."""
    monkeypatch.setattr(bus_streams, "_RECHECK_SECONDS", 0.0)
    async with followed(nats) as (admin, scorer, _, follower):
        await admin.jetstream.delete_stream(kv_stream(INDICATOR_BUCKET))
        await initialise_streams(admin)
        await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"new")
        for number in range(9):
            await scorer.kv_put(INDICATOR_BUCKET, "consumer.b", b"%d" % number)
        assert [await anext(follower), await anext(follower)] == [("consumer.a", b"new"), ("consumer.b", b"8")]


async def test_a_new_bucket_is_found_without_a_sign_of_it(nats, monkeypatch) -> None:
    """A follower that gets no signal from a recreated bucket finds its values by polling."""
    monkeypatch.setattr(bus_streams, "_RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(bus_streams, "_POLL_SECONDS", 0.1)
    async with followed(nats) as (admin, scorer, api, follower):
        (signs,) = (some for some in api.client._subs.values() if some.subject.startswith("$KV."))
        monkeypatch.setattr(signs, "_cb", _ignore)
        await admin.jetstream.delete_stream(kv_stream(INDICATOR_BUCKET))
        await initialise_streams(admin)
        await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"new")
        assert await anext(follower) == ("consumer.a", b"new")


async def test_a_follower_reads_once_it_is_connected_again(nats, monkeypatch) -> None:
    """A follower that was disconnected reads what was stored meanwhile, without a signal, as soon as it reconnects."""
    monkeypatch.setattr(bus_streams, "_POLL_SECONDS", 10 * DEADLINE)
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as scorer, nats.connect("api") as api:
        await scorer.kv_put(INDICATOR_BUCKET, "government", b"old")
        follower = api.kv_follow(INDICATOR_BUCKET, "government")
        assert await anext(follower) == ("government", b"old")
        (signs,) = (some for some in api.client._subs.values() if some.subject.startswith("$KV."))
        monkeypatch.setattr(signs, "_cb", _ignore)
        following = asyncio.create_task(anext(follower))
        await api.kv_get(INDICATOR_BUCKET, "government")  # by then the follower has found nothing more, and waits
        await scorer.kv_put(INDICATOR_BUCKET, "government", b"new")
        await api.client._process_op_err(StaleConnectionError())
        assert await following == ("government", b"new")
        await follower.aclose()


async def _ignore(_) -> None:
    pass
