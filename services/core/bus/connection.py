"""A connection to the bus and everything components do with it.

Streams and buckets are read by batched direct get (nats-server 2.11 or newer), which needs no JetStream consumer,
keeps no position on the server and therefore cannot lose one; a core subscription merely says when to look.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.core.bus import subjects
from services.core.bus.heard import heard
from services.core.bus.replies import Replies
from services.core.bus.roles import inbox_prefix, load_user
from services.core.bus.stored import Message, StreamState, is_deleted, key_of, message_of, status_of, status_text
from services.core.errors import BusError
from services.core.log import logger

__all__ = ["Bus", "connect"]

_RETRY_SECONDS = 0.2
_LOOK_SECONDS = 1.0  # how long a follower waits for a sign before it looks anyway
_BATCH_BYTES = 8 << 20
_TRANSIENT = (nats.errors.Error, OSError, TimeoutError)


class Bus:
    """What a component may ask of the bus. Every call has a deadline; failures are BusError."""

    def __init__(self, client: Client, role: str, replies: Replies) -> None:
        self._client = client
        self._role = role
        self._replies = replies
        self.jetstream: JetStreamContext = client.jetstream()

    @property
    def connected(self) -> bool:
        """Whether the server answers at this moment."""
        return self._client.is_connected

    async def publish(
        self, subject: str, payload: bytes, *, message_id: str, timeout: float = 5.0, ttl: float | None = None
    ) -> int:
        """Publish to a stream and return the sequence it was stored at, once it is on disk.

        The same ``message_id`` within two minutes is stored once. Raises BusError when not acknowledged in time.
        """
        headers = {"Nats-Msg-Id": message_id} if message_id else {}
        if ttl is not None:
            headers["Nats-TTL"] = f"{int(ttl)}s"
        try:
            with heard():
                ack = await self.jetstream.publish(subject, payload, timeout=timeout, headers=headers or None)
        except _TRANSIENT as error:
            raise BusError(f"publishing on {subject} as {self._role} was not acknowledged: {_why(error)}") from error
        return int(ack.seq)

    async def kv_put(self, bucket: str, key: str, value: bytes, *, ttl: float | None = None) -> int:
        """Set a key, for ``ttl`` seconds if given; returns its revision."""
        return await self.publish(subjects.kv_subject(bucket, key), value, message_id="", ttl=ttl)

    async def kv_delete(self, bucket: str, key: str) -> None:
        """Delete a key; a tombstone stays so that followers learn of it."""
        try:
            with heard():
                await self.jetstream.publish(
                    subjects.kv_subject(bucket, key), b"", timeout=5.0, headers={"KV-Operation": "DEL"}
                )
        except _TRANSIENT as error:
            raise BusError(f"deleting {key} in bucket {bucket} was not acknowledged: {_why(error)}") from error

    async def kv_get(self, bucket: str, key: str) -> bytes | None:
        """The value of a key, or None."""
        stream, subject = subjects.kv_stream(bucket), subjects.kv_subject(bucket, key)
        reply = await self._request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", f"reading {key} in bucket {bucket}")
        if status_of(reply) == "404" or is_deleted(reply):
            return None
        return reply.data

    async def kv_all(self, bucket: str, pattern: str = ">") -> dict[str, bytes]:
        """Every key that matches, with its value."""
        found: dict[str, bytes] = {}
        start = 1
        while messages := await self.read(
            subjects.kv_stream(bucket), start, pattern=subjects.kv_subject(bucket, pattern)
        ):
            for message in messages:
                key = key_of(bucket, message.subject)
                found.pop(key, None)
                if not message.deleted:
                    found[key] = message.data
            start = messages[-1].sequence + 1
        return found

    async def kv_keys(self, bucket: str, pattern: str) -> set[str]:
        """Every key that matches and is set or was deleted a while ago: what may have to be deleted."""
        answer = await self._stream_info(
            subjects.kv_stream(bucket), {"subjects_filter": subjects.kv_subject(bucket, pattern)}
        )
        return {key_of(bucket, subject) for subject in answer["state"].get("subjects") or ()}

    async def kv_follow(self, bucket: str, pattern: str = ">") -> AsyncIterator[tuple[str, bytes | None]]:
        """Every current value, then every change (None = deleted), for ever, across disconnections."""
        subject = subjects.kv_subject(bucket, pattern)
        async for message in self.follow(subjects.kv_stream(bucket), 1, pattern=subject):
            yield key_of(bucket, message.subject), None if message.deleted else message.data

    async def follow(self, stream: str, start: int, *, pattern: str = ">") -> AsyncIterator[Message]:
        """Every message of a stream from ``start`` on, for ever, across disconnections."""
        sign = asyncio.Event()

        async def on_message(_: Msg) -> None:
            sign.set()

        with heard():
            subscription = await self._client.subscribe(pattern, cb=on_message)
        try:
            while True:
                sign.clear()
                try:
                    messages = await self.read(stream, start, pattern=pattern)
                except BusError as error:
                    logger().warning("bus_read_failed", stream=stream, reason=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                for message in messages:
                    yield message
                if messages:
                    start = messages[-1].sequence + 1
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await sign.wait()
        finally:
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def stream_state(self, stream: str) -> StreamState:
        """When a stream was created and which sequences it holds. Raises BusError when there is no such stream."""
        answer = await self._stream_info(stream, {})
        state = answer["state"]
        last = int(state["last_seq"])
        # A stream that never held a message says first_seq 0.
        return StreamState(answer["created"], int(state["first_seq"]) or last + 1, last)

    async def read(
        self,
        stream: str,
        start: int,
        *,
        pattern: str = ">",
        limit: int = 500,
        timeout: float = 5.0,
        since: datetime | None = None,
    ) -> list[Message]:
        """Up to ``limit`` stored messages from sequence ``start`` on, in order; empty when there are none yet.

        With ``since`` those that were stored at or after that moment, whatever ``start`` is.
        """
        what = f"reading stream {stream} from {since or start}"
        first = {"seq": start} if since is None else {"start_time": since.isoformat()}
        request = {**first, "batch": limit, "max_bytes": _BATCH_BYTES, "next_by_subj": pattern}
        payload = json.dumps(request).encode()
        messages: list[Message] = []
        try:
            with self._replies.expected() as (subject, replies):
                with heard():
                    await self._client.publish(f"$JS.API.DIRECT.GET.{stream}", payload, reply=subject)
                async with asyncio.timeout(timeout):
                    while (status := status_of(reply := await replies.get())) is None:
                        messages.append(message_of(reply))
        except _TRANSIENT as error:
            raise BusError(f"{what} failed: {_why(error)}") from error
        if status not in ("204", "404"):
            raise BusError(f"{what} failed: {status_text(reply)}")
        return messages

    async def send(self, subject: str, payload: bytes) -> None:
        """Publish on core NATS, without acknowledgement."""
        try:
            with heard():
                await self._client.publish(subject, payload)
        except _TRANSIENT as error:
            raise BusError(f"sending on {subject} as {self._role} failed: {_why(error)}") from error

    async def listen(self, subject: str) -> AsyncIterator[bytes]:
        """What is sent on core NATS from now on, for ever."""
        with heard():
            subscription = await self._client.subscribe(subject)
        try:
            async for message in subscription.messages:
                yield message.data
        finally:
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def _stream_info(self, stream: str, request: dict[str, str]) -> dict[str, Any]:
        what = f"asking for the state of stream {stream}"
        reply = await self._request(f"$JS.API.STREAM.INFO.{stream}", json.dumps(request).encode(), what)
        answer: dict[str, Any] = json.loads(reply.data)
        if "error" in answer:
            raise BusError(f"{what} failed: {answer['error'].get('description')}; has `peyvand bus init` run?")
        return answer

    async def _request(self, subject: str, payload: bytes, what: str, timeout: float = 5.0) -> Msg:
        try:
            with heard():
                return await self._client.request(subject, payload, timeout=timeout)
        except _TRANSIENT as error:
            raise BusError(f"{what} failed: {_why(error)}") from error


def _why(error: BaseException) -> str:
    """nats-py raises some errors without a text."""
    if isinstance(error, nats.errors.NoRespondersError):
        return "no stream listens there; has `peyvand bus init` run?"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


@asynccontextmanager
async def connect(url: str, *, role: str, credentials: Path, name: str) -> AsyncIterator[Bus]:
    """Connect as ``role``, waiting as long as it takes for a server that is not there yet.

    Raises BusError when the server refuses the credential, SettingsError when there is none.
    """
    user = load_user(credentials, role)
    log = logger().bind(bus=url)

    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_error(error: Exception) -> None:
        if "authorization" in str(error).lower() and not refused.done():
            refused.set_result(None)
        log.warning("bus_error", reason=_why(error))

    async def on_disconnected() -> None:
        if not closing:
            log.warning("bus_disconnected")

    async def on_reconnected() -> None:
        log.info("bus_reconnected")

    client = Client()
    closing = False
    connecting = asyncio.ensure_future(
        client.connect(
            url,
            name=name,
            nkeys_seed_str=user.seed,
            inbox_prefix=inbox_prefix(user.public_key),
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RETRY_SECONDS,  # type: ignore[arg-type]  # slept as it is, a float serves
            connect_timeout=2,
            ping_interval=5,
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
        )
    )
    # The client tries for ever, also where it is refused; waiting would then never end.
    try:
        await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait({connecting})
    if refused.done():
        raise BusError(f"{url} refuses the credential of role {role}: use the one its configuration names")
    connecting.result()
    try:
        yield Bus(client, role, await Replies.subscribed(client))
    finally:
        closing = True
        await client.close()
