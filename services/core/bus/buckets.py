"""KV buckets: values that are put, read and followed by key, however large.

A value that fits a message is one. A larger one is kept as parts (`parts.py`): they are put first, under keys no other
value has, then the key that names them, and only then those of the value before it are removed. So whoever reads the key
finds either value whole, whenever the writer stops. A bucket has one writer, which removes what an earlier one left.
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

from nats.aio.client import Client

from services.core.bus.inbox import ReplyInbox
from services.core.bus.large_values import (
    MAX_VALUE_BYTES,
    PARTS_HEADER,
    PARTS_PATTERN,
    ValueParts,
    join_parts,
    key_of_part,
    split_value,
)
from services.core.bus.messages import StoredMessage, key_of, message_of, status_of
from services.core.bus.names import kv_stream, kv_subject
from services.core.bus.streams import RETRY_SECONDS, Streams
from services.core.errors import BusError, TornValueError
from services.core.log import logger

__all__ = ["MAX_ATOMIC_PUTS", "Bus"]

T = TypeVar("T")

MAX_ATOMIC_PUTS = 100
"""The most values put together: the server takes 1,000, and keeps them in memory meanwhile."""

_AT_ONCE = 8  # parts under way at once
_LOOKS = 10  # how often to look for parts that are not there: a replica may lag behind
_GONE_SECONDS = 60.0  # how long the tombstone of a part stays; nobody follows parts
_LONGER_SECONDS = 60.0  # a part outlives the entry that names it


@dataclass(slots=True)
class _Known:
    """Parts of one key's values that may be in a bucket, ``until`` when (the loop's time) if they go by themselves."""

    keys: set[str] = field(default_factory=set)
    until: float = inf


def _putting(bucket: str, key: str) -> str:
    return f"putting {key} in bucket {bucket}"


class Bus(Streams):
    """What a component may ask of the bus. Every call has a deadline; failures are BusError."""

    def __init__(self, client: Client, role: str, replies: ReplyInbox) -> None:
        super().__init__(client, role, replies)
        self._parts: dict[tuple[str, str], _Known] = {}  # by bucket and key

    async def kv_put(self, bucket: str, key: str, value: bytes, *, ttl: float | None = None) -> int:
        """Set a key, for ``ttl`` seconds if given; returns its revision."""
        if len(value) > MAX_VALUE_BYTES:
            return await self._put_parts(bucket, key, value, ttl)
        revision = await self._store(kv_subject(bucket, key), value, {}, _putting(bucket, key), ttl=ttl)
        await self._keep_parts(bucket, key, ())
        return revision

    async def kv_put_all(self, bucket: str, values: Mapping[str, bytes], *, ttl: float | None = None) -> None:
        """Set keys for ``ttl`` seconds if given: up to TOGETHER that each fit a message, all or none of them.

        Together they wait for the disk but once. Raises BusError.
        """
        if len(values) == 1:
            ((key, value),) = values.items()
            await self.kv_put(bucket, key, value, ttl=ttl)
            return
        *others, (last, end) = values.items()
        what, batch = f"putting {len(values)} keys in bucket {bucket}", {"Nats-Batch-Id": token_hex(16)}
        lasting = {} if ttl is None else {"Nats-TTL": f"{int(ttl)}s"}
        for number, (key, value) in enumerate(others, 1):
            headers = {**batch, **lasting, "Nats-Batch-Sequence": str(number)}
            await self.send(kv_subject(bucket, key), value, headers)
        headers = {**batch, "Nats-Batch-Sequence": str(len(values)), "Nats-Batch-Commit": "1"}
        await self._store(kv_subject(bucket, last), end, headers, what, ttl=ttl)
        for key in values:
            await self._keep_parts(bucket, key, ())

    async def _put_parts(self, bucket: str, key: str, value: bytes, ttl: float | None) -> int:
        parts, what, now = ValueParts.of(value), _putting(bucket, key), asyncio.get_running_loop().time()
        keys = parts.keys(key)
        lasting = None if ttl is None else ttl + _LONGER_SECONDS
        for one in [one for one, known in self._parts.items() if known.until < now]:
            del self._parts[one]  # gone by themselves
        known = self._parts.setdefault((bucket, key), _Known())
        known.keys.update(keys)
        known.until = inf if lasting is None else now + lasting
        for some in _batched(zip(keys, split_value(value), strict=True)):
            puts = (self._store(kv_subject(bucket, one), part, {}, what, ttl=lasting) for one, part in some)
            await asyncio.gather(*puts)
        revision = await self._store(kv_subject(bucket, key), b"", {PARTS_HEADER: parts.header}, what, ttl=ttl)
        await self._keep_parts(bucket, key, keys)
        return revision

    async def kv_delete(self, bucket: str, key: str) -> None:
        """Delete a key; a tombstone stays so that followers learn of it."""
        await self._bury(bucket, key)
        await self._keep_parts(bucket, key, ())

    async def kv_tidy(self, bucket: str) -> None:
        """Remove parts that no key names, which a writer left that ended amidst a value. For the bucket's writer."""
        found: dict[str, set[str]] = defaultdict(set)
        for part in await self.kv_keys(bucket, PARTS_PATTERN):
            found[key_of_part(part)].add(part)
        for key, some in found.items():
            self._parts.setdefault((bucket, key), _Known()).keys.update(some)
            entry = await self._entry(bucket, key)
            named = () if entry is None or entry.parts is None else entry.parts.keys(key)
            await self._keep_parts(bucket, key, named)

    async def kv_get(self, bucket: str, key: str) -> bytes | None:
        """The value of a key, or None. Raises TornValueError when its parts are not all there, which nobody can mend."""
        looks = 0
        while (entry := await self._entry(bucket, key)) is not None:
            value = await self._value(bucket, key, entry)
            if value is not None:
                return value
            looks += 1
            if looks == _LOOKS:
                raise TornValueError(f"reading {key} in bucket {bucket} failed: parts of it are missing or damaged")
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def kv_all(self, bucket: str, pattern: str = ">") -> dict[str, bytes]:
        """Every key that matches, with its value; what is torn is left out."""
        found: dict[str, StoredMessage] = {}
        start = 1
        while messages := await self.read(kv_stream(bucket), start, pattern=kv_subject(bucket, pattern)):
            for message in messages:
                key = key_of(bucket, message.subject)
                found.pop(key, None)
                if not message.deleted:
                    found[key] = message
            start = messages[-1].sequence + 1
        values: dict[str, bytes] = {}
        for key, message in found.items():
            value: bytes | None = message.data
            if message.parts is not None:
                try:
                    value = await self.kv_get(bucket, key)
                except TornValueError as error:
                    logger().error("value_torn", reason=str(error))
                    continue
            if value is not None:
                values[key] = value
        return values

    async def kv_keys(self, bucket: str, pattern: str) -> set[str]:
        """Every key that matches and is set or was deleted a while ago: what may have to be deleted."""
        answer = await self._stream_info(kv_stream(bucket), {"subjects_filter": kv_subject(bucket, pattern)})
        return {key_of(bucket, subject) for subject in answer["state"].get("subjects") or ()}

    async def kv_follow(self, bucket: str, pattern: str = ">") -> AsyncIterator[tuple[str, bytes | None]]:
        """Every current value, then every change (None = deleted), for ever, across disconnections.

        A value that was replaced before its parts were read is left out, and so is one that is torn.
        """
        subject = kv_subject(bucket, pattern)
        async for message in self.follow(kv_stream(bucket), 1, pattern=subject):
            key = key_of(bucket, message.subject)
            if message.deleted:
                yield key, None
            elif message.parts is None:
                yield key, message.data
            elif (value := await self._followed(bucket, key, message)) is not None:
                yield key, value

    async def _followed(self, bucket: str, key: str, message: StoredMessage) -> bytes | None:
        """The value of an entry that a follower came to; None when it was replaced meanwhile or is torn."""
        looks = 0
        while looks < _LOOKS:
            try:
                value = await self._value(bucket, key, message)
                if value is not None:
                    return value
                now = await self._entry(bucket, key)
                if now is None or now.sequence != message.sequence:
                    return None
                looks += 1
            except BusError as error:
                logger().warning("bus_read_failed", key=key, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        logger().error("value_torn", reason=f"parts of {key} in bucket {bucket} are missing or damaged")
        return None

    async def _entry(self, bucket: str, key: str) -> StoredMessage | None:
        """What stands under a key, None where nothing does."""
        stream, subject = kv_stream(bucket), kv_subject(bucket, key)
        reply = await self._request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", f"reading {key} in bucket {bucket}")
        if status_of(reply) == "404":
            return None
        message = message_of(reply)
        return None if message.deleted else message

    async def _value(self, bucket: str, key: str, entry: StoredMessage) -> bytes | None:
        """The value of an entry; None when parts of it are not there."""
        if entry.parts is None:
            return entry.data
        contents: list[bytes | None] = []
        for some in _batched(entry.parts.keys(key)):
            entries = await asyncio.gather(*(self._entry(bucket, one) for one in some))
            contents += [None if one is None else one.data for one in entries]
        return join_parts(entry.parts, contents)

    async def _keep_parts(self, bucket: str, key: str, kept: Iterable[str]) -> None:
        """Remove the parts a key may have had, but for those it has now."""
        known = self._parts.get((bucket, key))
        if known is None:
            return
        left = set(kept)
        try:
            for some in _batched(known.keys - left):
                await asyncio.gather(*(self._bury(bucket, part, ttl=_GONE_SECONDS) for part in some))
        except BusError as error:  # tried again with the next value
            logger().warning("parts_left", key=key, reason=str(error))
            return
        known.keys = left
        if not left:
            del self._parts[bucket, key]

    async def _bury(self, bucket: str, key: str, *, ttl: float | None = None) -> None:
        headers = {"KV-Operation": "DEL"}
        await self._store(kv_subject(bucket, key), b"", headers, f"deleting {key} in bucket {bucket}", ttl=ttl)


def _batched(some: Iterable[T]) -> Iterator[list[T]]:
    """As many as may be under way at once, and again."""
    left = iter(some)
    while batch := list(islice(left, _AT_ONCE)):
        yield batch
