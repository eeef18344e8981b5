"""KV buckets: values of any size, put, read and followed by key.

A value that fits in a message is stored as one message. A larger value is stored as parts (messages.py). The parts are
put first, under keys that no other value has, and then the key that names them. The parts of the previous value are
removed last. A reader therefore finds one of the two values whole, wherever the writer stops. A bucket has one writer,
which also removes parts that an earlier writer left.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from secrets import token_hex
from typing import TypeVar

import nats.errors
from nats.aio.client import Client

from services.core.bus.client import ReplyInbox
from services.core.bus.messages import (
    LAST_HEADER,
    MAX_VALUE_BYTES,
    PARTS_HEADER,
    PARTS_PATTERN,
    StoredMessage,
    ValueParts,
    error_text,
    join_parts,
    key_of,
    key_of_part,
    message_of,
    message_of_leader,
    not_last,
    split_value,
    status_of,
)
from services.core.bus.names import kv_stream, kv_subject
from services.core.bus.streams import RETRY_SECONDS, Streams
from services.core.errors import BusError, TornValueError
from services.core.log import logger
from services.core.tasks import propagate_cancellation

T = TypeVar("T")

MAX_ATOMIC_PUTS = 50
"""The most values in one atomic put: the server accepts 1,000, and keeps them in memory meanwhile."""

_CONCURRENT_PARTS = 8
_DELETION = {"KV-Operation": "DEL"}
_NO_MESSAGE = 10037  # the code of "no message found"
_ATTEMPTS = 10  # to read missing parts: a replica may lag behind
_TOMBSTONE_SECONDS = 60.0  # of a deleted part; nobody follows parts
_EXTRA_SECONDS = 60.0  # by which a part outlives the entry that names it


@dataclass(slots=True)
class _PartKeys:
    """Keys of parts that a bucket may hold for one key; they expire at ``until`` in the event loop's time."""

    keys: set[str] = field(default_factory=set)
    until: float = inf


class Bus(Streams):
    """Streams and buckets over one connection. Every call has a deadline; failures raise BusError."""

    def __init__(self, client: Client, role: str, replies: ReplyInbox) -> None:
        super().__init__(client, role, replies)
        self._parts: dict[tuple[str, str], _PartKeys] = {}  # by bucket and key

    async def kv_put(self, bucket: str, key: str, value: bytes, *, ttl: float | None = None) -> int:
        """Set a key, for ``ttl`` seconds if given; return its revision."""
        if len(value) > MAX_VALUE_BYTES:
            return await self._put_parts(bucket, key, value, ttl)
        revision = await self._store(kv_subject(bucket, key), value, {}, _putting(bucket, key), ttl=ttl)
        await self._remove_parts(bucket, key, ())
        return revision

    async def kv_put_all(self, bucket: str, values: Mapping[str, bytes], *, ttl: float | None = None) -> None:
        """Set all keys or none, for ``ttl`` seconds if given: up to MAX_ATOMIC_PUTS values that each fit a message.

        The server acknowledges them once, but syncs each of them. Raises BusError.
        """
        if len(values) == 1:
            ((key, value),) = values.items()
            await self.kv_put(bucket, key, value, ttl=ttl)
            return
        *others, (last, end) = values.items()
        what, batch = f"putting {len(values)} keys in bucket {bucket}", {"Nats-Batch-Id": token_hex(16)}
        expiry = {} if ttl is None else {"Nats-TTL": f"{int(ttl)}s"}
        for number, (key, value) in enumerate(others, 1):
            headers = {**batch, **expiry, "Nats-Batch-Sequence": str(number)}
            await self.send(kv_subject(bucket, key), value, headers)
        headers = {**batch, "Nats-Batch-Sequence": str(len(values)), "Nats-Batch-Commit": "1"}
        await self._store(kv_subject(bucket, last), end, headers, what, ttl=ttl)
        for key in values:
            await self._remove_parts(bucket, key, ())

    async def _put_parts(self, bucket: str, key: str, value: bytes, ttl: float | None) -> int:
        parts, what, now = ValueParts.of(value), _putting(bucket, key), asyncio.get_running_loop().time()
        keys = parts.keys(key)
        part_ttl = None if ttl is None else ttl + _EXTRA_SECONDS
        self._parts = {name: stored for name, stored in self._parts.items() if stored.until >= now}
        stored = self._parts.setdefault((bucket, key), _PartKeys())
        stored.keys.update(keys)
        stored.until = inf if part_ttl is None else now + part_ttl
        for batch in _batched(zip(keys, split_value(value), strict=True)):
            puts = (self._store(kv_subject(bucket, name), part, {}, what, ttl=part_ttl) for name, part in batch)
            await asyncio.gather(*puts)
        revision = await self._store(kv_subject(bucket, key), b"", {PARTS_HEADER: parts.header}, what, ttl=ttl)
        await self._remove_parts(bucket, key, keys)
        return revision

    async def kv_replace(
        self, bucket: str, key: str, value: bytes | None, *, last: StoredMessage | None, ttl: float | None = None
    ) -> bool:
        """Set a key, or delete it (None), if ``last`` is the last message stored under it; return whether it was done.

        A value is kept for ``ttl`` seconds if given. Raises BusError.
        """
        headers = {LAST_HEADER: str(0 if last is None else last.sequence)}
        if value is None:
            headers |= _DELETION
        what = f"replacing {key} in bucket {bucket}"
        try:
            await self._store(kv_subject(bucket, key), value or b"", headers, what, ttl=ttl)
        except BusError as error:
            if not_last(error) is None:
                raise
            return False
        return True

    async def kv_delete(self, bucket: str, key: str) -> None:
        """Delete a key, leaving a tombstone for followers. If there is one, it stays as it is."""
        if await self._entry(bucket, key, from_leader=True) is not None:
            await self._delete(bucket, key)
        await self._remove_parts(bucket, key, ())

    async def kv_remove_orphans(self, bucket: str) -> None:
        """Remove parts that no key names, left by a writer that ended while putting a value.

        Only the bucket's writer may call this. Keys are read from the leader: a replica that lags behind would not name
        the parts of a value put moments before.
        """
        orphans: dict[str, set[str]] = defaultdict(set)
        for part in await self.kv_keys(bucket, PARTS_PATTERN):
            orphans[key_of_part(part)].add(part)
        for key, parts in orphans.items():
            self._parts.setdefault((bucket, key), _PartKeys()).keys.update(parts)
            entry = await self._entry(bucket, key, from_leader=True)
            named = () if entry is None or entry.parts is None else entry.parts.keys(key)
            await self._remove_parts(bucket, key, named)

    async def kv_get(self, bucket: str, key: str, *, from_leader: bool = False) -> bytes | None:
        """Return the value of a key, or None. Raises TornValueError when parts of it stay missing or damaged.

        Any replica may answer, even one that lags behind, unless ``from_leader`` is set.
        """
        attempts = 0
        while (entry := await self._entry(bucket, key, from_leader=from_leader)) is not None:
            value = await self._value(bucket, key, entry)
            if value is not None:
                return value
            attempts += 1
            if attempts == _ATTEMPTS:
                raise TornValueError(f"reading {key} in bucket {bucket} failed: parts of it are missing or damaged")
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def kv_last(self, bucket: str, key: str) -> StoredMessage | None:
        """Return the last message stored under a key, which may be a tombstone, or None."""
        stream, subject = kv_stream(bucket), kv_subject(bucket, key)
        reply = await self._request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", f"reading {key} in bucket {bucket}")
        return None if status_of(reply) == "404" else message_of(reply)

    async def kv_all(self, bucket: str, pattern: str = ">") -> dict[str, bytes]:
        """Return every matching key with its value; torn values are logged and left out."""
        values: dict[str, bytes] = {}
        async for key, value in self.kv_each(bucket, pattern):
            values.pop(key, None)
            if value is not None:
                values[key] = value
        return values

    async def kv_each(self, bucket: str, pattern: str = ">") -> AsyncIterator[tuple[str, bytes | None]]:
        """Yield every matching key with its value, or None when the value was deleted or is torn.

        A key that is put meanwhile is yielded again. Raises BusError.
        """
        start = 1
        while messages := await self.read(kv_stream(bucket), start, pattern=kv_subject(bucket, pattern)):
            for message in messages:
                key = key_of(bucket, message.subject)
                value: bytes | None = None if message.deleted else message.data
                if message.parts is not None:
                    try:
                        value = await self.kv_get(bucket, key)
                    except TornValueError as error:
                        logger().error("value_torn", reason=str(error))
                        value = None
                yield key, value
            start = messages[-1].sequence + 1

    async def kv_keys(self, bucket: str, pattern: str) -> set[str]:
        """Return every matching key, including keys that have a tombstone."""
        answer = await self._stream_info(kv_stream(bucket), {"subjects_filter": kv_subject(bucket, pattern)})
        return {key_of(bucket, subject) for subject in answer["state"].get("subjects") or ()}

    async def kv_follow(self, bucket: str, pattern: str = ">") -> AsyncIterator[tuple[str, bytes | None]]:
        """Yield every current value, then every change (None = deleted), forever, across disconnections.

        Torn values, and values that were replaced before their parts were read, are left out.
        """
        subject = kv_subject(bucket, pattern)
        async for message in self.follow(kv_stream(bucket), 1, pattern=subject):
            key = key_of(bucket, message.subject)
            if message.deleted:
                yield key, None
            elif message.parts is None:
                yield key, message.data
            elif (value := await self._followed_value(bucket, key, message)) is not None:
                yield key, value

    async def _followed_value(self, bucket: str, key: str, message: StoredMessage) -> bytes | None:
        """Return the value of an entry; None when it was replaced meanwhile or is torn."""
        attempts = 0
        while attempts < _ATTEMPTS:
            try:
                value = await self._value(bucket, key, message)
                if value is not None:
                    return value
                last = await self.kv_last(bucket, key)
                if last is not None and last.sequence > message.sequence:
                    return None
                attempts += 1  # a replica without this message lags behind
            except BusError as error:
                logger().warning("bus_read_failed", key=key, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        logger().error("value_torn", reason=f"parts of {key} in bucket {bucket} are missing or damaged")
        return None

    async def _entry(self, bucket: str, key: str, *, from_leader: bool = False) -> StoredMessage | None:
        """Return the message that holds a key's value, or None."""
        last = await (self._leaders_last if from_leader else self.kv_last)(bucket, key)
        return None if last is None or last.deleted else last

    async def _leaders_last(self, bucket: str, key: str) -> StoredMessage | None:
        """Return the same as ``kv_last``, read from the leader of the bucket."""
        try:
            with propagate_cancellation():
                found = await self.jetstream.get_last_msg(kv_stream(bucket), kv_subject(bucket, key))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            if getattr(error, "err_code", None) == _NO_MESSAGE:
                return None
            raise BusError(f"reading {key} in bucket {bucket} failed: {error_text(error)}") from error
        return message_of_leader(found)

    async def _value(self, bucket: str, key: str, entry: StoredMessage) -> bytes | None:
        """Return the value of an entry; None when parts of it are missing or damaged."""
        if entry.parts is None:
            return entry.data
        contents: list[bytes | None] = []
        for batch in _batched(entry.parts.keys(key)):
            parts = await asyncio.gather(*(self._entry(bucket, name) for name in batch))
            contents += [None if part is None else part.data for part in parts]
        return join_parts(entry.parts, contents)

    async def _remove_parts(self, bucket: str, key: str, kept: Iterable[str]) -> None:
        """Remove the parts that a key may have, except those in ``kept``."""
        stored = self._parts.get((bucket, key))
        if stored is None:
            return
        remaining = set(kept)
        try:
            for batch in _batched(stored.keys - remaining):
                await asyncio.gather(*(self._delete(bucket, part, ttl=_TOMBSTONE_SECONDS) for part in batch))
        except BusError as error:  # retried with the next value
            logger().warning("parts_left", key=key, reason=str(error))
            return
        stored.keys = remaining
        if not remaining:
            self._parts.pop((bucket, key), None)

    async def _delete(self, bucket: str, key: str, *, ttl: float | None = None) -> None:
        await self._store(kv_subject(bucket, key), b"", {**_DELETION}, f"deleting {key} in bucket {bucket}", ttl=ttl)


def _putting(bucket: str, key: str) -> str:
    return f"putting {key} in bucket {bucket}"


def _batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield the items in batches that may be in flight at once."""
    remaining = iter(items)
    while batch := list(islice(remaining, _CONCURRENT_PARTS)):
        yield batch
