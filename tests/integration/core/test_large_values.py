"""Values too large for one message, on a real nats-server: whole or absent, with no parts left over."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.core.bus import Bus, buckets
from services.core.bus.messages import MAX_VALUE_BYTES, PARTS_PATTERN, StoredMessage, ValueParts
from services.core.bus.names import INDICATOR_BUCKET, kv_stream, kv_subject
from services.core.errors import TornValueError
from tests.support.waiting import DEADLINE, eventually

KEY = "government"
COUNT = 3  # parts of the values below
PUTS_AND_DELETIONS = 2 * COUNT + 1  # when a value replaces another: parts, the key, parts of the other

# Puts the second value and kills itself before its n-th message to the server.
WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from services.core.bus import (Bus, connect)
from services.core.bus.streams import Streams

async def main(url, credentials, n, size):
    left, store = [int(n)], Streams._store
    async def counted(self, *args, **options):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await store(self, *args, **options)
    Streams._store = counted
    async with connect(url, role="scorer", credentials=Path(credentials), name="scorer") as bus:
        await bus.kv_remove_orphans("indicator")
        await bus.kv_put("indicator", "government", bytes([2]) * int(size))

asyncio.run(main(*sys.argv[1:]))
"""


def value_of(number: int) -> bytes:
    return bytes([number]) * (2 * MAX_VALUE_BYTES + 1 + number)


async def parts_in(bus: Bus) -> set[str]:
    """Return the keys of all parts without a tombstone."""
    messages = []
    start = 1
    while some := await bus.read(
        kv_stream(INDICATOR_BUCKET), start, pattern=kv_subject(INDICATOR_BUCKET, PARTS_PATTERN)
    ):
        messages += some
        start = some[-1].sequence + 1
    return {one.subject.removeprefix(kv_subject(INDICATOR_BUCKET, "")) for one in messages if not one.deleted}


async def test_a_large_value_is_read_as_it_was_put(nats: Any) -> None:
    """A large value is read, listed and followed as it was put; its replacement, large or small, leaves none of its parts."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as writer, nats.connect("api") as reader:
        follower = reader.kv_follow(INDICATOR_BUCKET, "*")
        for value in (value_of(1), value_of(2), b"small", value_of(3)):
            await writer.kv_put(INDICATOR_BUCKET, KEY, value)
            assert await reader.kv_get(INDICATOR_BUCKET, KEY) == value
            assert await reader.kv_all(INDICATOR_BUCKET, "*") == {KEY: value}
            assert await anext(follower) == (KEY, value)
            assert await parts_in(reader) == set(ValueParts.of(value).keys(KEY) if len(value) > MAX_VALUE_BYTES else ())
        await writer.kv_put_all(INDICATOR_BUCKET, {KEY: b"small", "other": b"too"})
        assert await parts_in(reader) == set()
        assert {await anext(follower), await anext(follower)} == {(KEY, b"small"), ("other", b"too")}
        await writer.kv_delete(INDICATOR_BUCKET, KEY)
        assert await reader.kv_get(INDICATOR_BUCKET, KEY) is None
        assert await anext(follower) == (KEY, None)
        assert await parts_in(reader) == set()
        await follower.aclose()


async def test_a_value_that_fits_a_message_is_one(nats: Any) -> None:
    """Up to the limit, a value is stored as any NATS client stores it."""
    async with nats.connect("scorer") as writer, nats.connect("api") as reader:
        await writer.kv_put(INDICATOR_BUCKET, KEY, b"x" * MAX_VALUE_BYTES)
        (message,) = await reader.read(kv_stream(INDICATOR_BUCKET), 1)
    assert (message.subject, len(message.data), message.parts) == (
        kv_subject(INDICATOR_BUCKET, KEY),
        MAX_VALUE_BYTES,
        None,
    )


@pytest.mark.parametrize("done", range(PUTS_AND_DELETIONS))
async def test_a_writer_killed_anywhere_leaves_a_value_to_read(nats: Any, done: int) -> None:
    """A writer killed at any message of a replacement leaves the old or the new value whole; the next one removes orphans."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as first, nats.connect("api") as reader:
        await first.kv_put(INDICATOR_BUCKET, KEY, value_of(1))
        new = bytes([2]) * (2 * MAX_VALUE_BYTES + 2)
        killed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, nats.url, str(nats.credentials), str(done), str(len(new)))
        )
        assert await killed.wait() == -signal.SIGKILL
        value = value_of(1) if done <= COUNT else new
        assert await reader.kv_get(INDICATOR_BUCKET, KEY) == value
        assert set(ValueParts.of(value).keys(KEY)) <= await parts_in(reader)
        async with nats.connect("scorer") as second:
            await second.kv_remove_orphans(INDICATOR_BUCKET)
            assert await parts_in(reader) == set(ValueParts.of(value).keys(KEY))
            assert await reader.kv_get(INDICATOR_BUCKET, KEY) == value
            await second.kv_put(INDICATOR_BUCKET, KEY, b"small")
            assert await parts_in(reader) == set()


async def test_a_replica_that_lags_behind_orphans_no_parts(nats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new writer leaves the parts of the last value, although a replica still shows it the value before."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as first, nats.connect("api") as reader:
        await first.kv_put(INDICATOR_BUCKET, KEY, value_of(1))
        former = await reader.kv_last(INDICATOR_BUCKET, KEY)
        await first.kv_put(INDICATOR_BUCKET, KEY, value_of(2))

        async def lagging(*_key: str) -> StoredMessage | None:
            return former

        async with nats.connect("scorer") as second:
            monkeypatch.setattr(second, "kv_last", lagging)
            await second.kv_remove_orphans(INDICATOR_BUCKET)
        assert await reader.kv_get(INDICATOR_BUCKET, KEY) == value_of(2)


async def test_readers_never_meet_half_a_value(nats: Any) -> None:
    """While large values replace each other, readers always get one of them, in order."""
    seen: list[int] = []

    async def read(bus: Bus) -> None:
        while not seen or seen[-1] < 12:
            value = await bus.kv_get(INDICATOR_BUCKET, KEY)
            assert value is not None
            assert value == value_of(value[0])
            seen.append(value[0])

    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as writer, nats.connect("api") as reader:
        await writer.kv_put(INDICATOR_BUCKET, KEY, value_of(1))
        reading = asyncio.ensure_future(read(reader))
        for number in range(2, 13):
            await writer.kv_put(INDICATOR_BUCKET, KEY, value_of(number))
        await reading
    assert seen == sorted(seen)


async def test_a_torn_value_is_told_and_replaced(nats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value with a missing part fails to read, is left out of lists, and is skipped by followers."""
    monkeypatch.setattr(buckets, "RETRY_SECONDS", 0.01)
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as writer, nats.connect("api") as reader:
        await writer.kv_put(INDICATOR_BUCKET, KEY, value_of(1))
        await writer.kv_put(INDICATOR_BUCKET, "consumer.a", b"whole")
        await writer.kv_put(INDICATOR_BUCKET, ValueParts.of(value_of(1)).keys(KEY)[1], b"of something else")
        with pytest.raises(
            TornValueError, match="reading government in bucket indicator failed: parts of it are missing"
        ):
            await reader.kv_get(INDICATOR_BUCKET, KEY)
        with capture_logs() as logs:
            assert await reader.kv_all(INDICATOR_BUCKET, "*") == {}
            follower = reader.kv_follow(INDICATOR_BUCKET, "*")
            following = asyncio.ensure_future(anext(follower))
            await eventually(lambda: [one["event"] for one in logs].count("value_torn") == 2, "both are told")
        assert not following.done()
        await writer.kv_put(INDICATOR_BUCKET, KEY, value_of(2))
        assert await following == (KEY, value_of(2))
        await follower.aclose()


async def test_a_put_that_failed_leaves_nothing_once_another_succeeds(nats: Any) -> None:
    """Parts of a value that was never acknowledged are removed with the next value."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as writer, nats.connect("api") as reader:
        store = writer._store

        async def failing(subject: str, *args: Any, **options: Any) -> int:
            if subject == kv_subject(INDICATOR_BUCKET, KEY):
                raise TornValueError("not acknowledged")
            return await store(subject, *args, **options)

        writer._store = failing
        with pytest.raises(TornValueError, match="not acknowledged"):
            await writer.kv_put(INDICATOR_BUCKET, KEY, value_of(1))
        assert await reader.kv_get(INDICATOR_BUCKET, KEY) is None
        assert len(await parts_in(reader)) == COUNT
        writer._store = store
        await writer.kv_put(INDICATOR_BUCKET, KEY, value_of(2))
        assert await parts_in(reader) == set(ValueParts.of(value_of(2)).keys(KEY))


async def test_parts_live_as_long_as_their_value(nats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large value with a time to live expires, and its parts expire after it."""
    monkeypatch.setattr(buckets, "_EXTRA_SECONDS", 1.0)
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as writer, nats.connect("api") as reader:
        await writer.kv_put(INDICATOR_BUCKET, "slot.a.1", value_of(1), ttl=60)
        assert await reader.kv_get(INDICATOR_BUCKET, "slot.a.1") == value_of(1)
        await writer.kv_put(INDICATOR_BUCKET, "slot.a.1", value_of(1), ttl=1)
        while await reader.kv_get(INDICATOR_BUCKET, "slot.a.1") is not None:  # noqa: ASYNC110  # the server's own clock
            await asyncio.sleep(0.05)
        while await parts_in(reader):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert await writer.kv_keys(INDICATOR_BUCKET, ">") == set()
