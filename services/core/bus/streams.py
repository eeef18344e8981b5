"""Streams: publishing, reading, following. Every call has a deadline; failures are BusError.

Streams and buckets are read by batched direct get (nats-server 2.11 or newer), which needs no JetStream consumer,
keeps no position on the server and therefore cannot lose one; a core subscription merely says when to look.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.core.bus.inbox import ReplyInbox
from services.core.bus.messages import StoredMessage, StreamState, message_of, moment_of, status_of, status_text
from services.core.errors import BusError
from services.core.log import logger
from services.core.tasks import propagate_cancellation

__all__ = ["RETRY_SECONDS", "Streams", "error_text"]

RETRY_SECONDS = 0.2
"""How long to wait before asking again a bus that did not answer."""

_LOOK_SECONDS = 1.0  # how long a follower waits for a sign before it looks anyway
_SAME_SECONDS = 5.0  # how often one that hears nothing makes sure that the stream is the one it has read
_A_MOMENT = timedelta(milliseconds=1)  # more than is lost of a time of storing on its way through a float
_BATCH_BYTES = 8 << 20
_TRANSIENT = (nats.errors.Error, OSError, TimeoutError)


class Streams:
    """What a component may ask of streams, over one connection."""

    def __init__(self, client: Client, role: str, replies: ReplyInbox) -> None:
        self._client = client
        self._role = role
        self._replies = replies
        self._failing: set[asyncio.Event] = set()  # the signs of followers that could not read when they last looked
        self.jetstream: JetStreamContext = client.jetstream()

    @property
    def client(self) -> Client:
        """The connection itself, for what no component asks of streams: keeping them in files and putting them back."""
        return self._client

    @property
    def connected(self) -> bool:
        """Whether the server answers at this moment."""
        return self._client.is_connected

    @property
    def following(self) -> bool:
        """Whether whatever is followed could be read when it was last looked at: a stream may be gone from a good server."""
        return not self._failing

    async def publish(self, subject: str, payload: bytes, *, message_id: str, timeout: float = 5.0) -> int:
        """Publish to a stream and return the sequence it was stored at, once it is on disk.

        The same ``message_id`` within two minutes is stored once. Raises BusError when not acknowledged in time.
        """
        headers = {"Nats-Msg-Id": message_id} if message_id else {}
        return await self._store(subject, payload, headers, f"publishing on {subject}", timeout=timeout)

    async def _store(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        what: str,
        *,
        timeout: float = 5.0,
        ttl: float | None = None,
    ) -> int:
        if ttl is not None:
            headers["Nats-TTL"] = f"{int(ttl)}s"
        try:
            with propagate_cancellation():
                ack = await self.jetstream.publish(subject, payload, timeout=timeout, headers=headers or None)
        except _TRANSIENT as error:
            raise BusError(f"{what} as {self._role} was not acknowledged: {error_text(error)}") from error
        return int(ack.seq)

    async def follow(self, stream: str, start: int, *, pattern: str = ">") -> AsyncIterator[StoredMessage]:
        """Every message of a stream from ``start`` on, for ever, across disconnections.

        When the stream is deleted and made again, every message of the new one; of one that was restored to an earlier
        state, all that it holds as soon as another is stored.
        """
        sign, clock = asyncio.Event(), asyncio.get_running_loop().time
        newest, due = 0.0, clock() + _SAME_SECONDS

        async def on_message(_: Msg) -> None:
            sign.set()

        with propagate_cancellation():
            subscription = await self._client.subscribe(pattern, cb=on_message)
        try:
            while True:
                told = sign.is_set()
                sign.clear()
                try:
                    messages = await self.read(stream, start, pattern=pattern)
                    if not messages and newest and (told or clock() >= due):
                        due = clock() + _SAME_SECONDS
                        if await self._is_anew(stream, start, newest, pattern):
                            logger().warning("stream_made_anew", stream=stream, read_before=start - 1)
                            start = 1
                            continue
                except BusError as error:
                    self._failing.add(sign)
                    logger().warning("bus_read_failed", stream=stream, reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._failing.discard(sign)
                for message in messages:
                    yield message
                if messages:
                    start = messages[-1].sequence + 1
                    newest = max(newest, *(message.time for message in messages))
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await sign.wait()
        finally:
            self._failing.discard(sign)
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def _is_anew(self, stream: str, start: int, newest: float, pattern: str) -> bool:
        """Whether the stream is another than the one of which all before ``start`` was read, up to the time ``newest``.

        Then its sequences have begun anew, and of those before ``start`` one was stored later. A replica that lags behind
        has none, and few roles may ask for when a stream was created.
        """
        since = datetime.fromtimestamp(newest, UTC) + _A_MOMENT
        later = await self.read(stream, start, pattern=pattern, limit=1, since=since)
        return bool(later) and later[0].sequence < start

    async def stream_state(self, stream: str) -> StreamState:
        """When a stream was created and which sequences it holds. Raises BusError when there is no such stream."""
        answer = await self._stream_info(stream, {})
        state = answer["state"]
        last = int(state["last_seq"])
        # A stream that never held a message says first_seq 0.
        first = int(state["first_seq"]) or last + 1
        now = moment_of(answer["ts"])
        return StreamState(answer["created"], first, last, int(state["messages"]), int(state["bytes"]), now)

    async def read(
        self,
        stream: str,
        start: int,
        *,
        pattern: str = ">",
        limit: int = 500,
        timeout: float = 5.0,
        since: datetime | None = None,
    ) -> list[StoredMessage]:
        """Up to ``limit`` stored messages from sequence ``start`` on, in order; empty when there are none yet.

        With ``since`` those that were stored at or after that moment, whatever ``start`` is.
        """
        what = f"reading stream {stream} from {since or start}"
        first = {"seq": start} if since is None else {"start_time": since.isoformat()}
        request = {**first, "batch": limit, "max_bytes": _BATCH_BYTES, "next_by_subj": pattern}
        payload = json.dumps(request).encode()
        messages: list[StoredMessage] = []
        try:
            with self._replies.expected() as (subject, replies):
                with propagate_cancellation():
                    await self._client.publish(f"$JS.API.DIRECT.GET.{stream}", payload, reply=subject)
                async with asyncio.timeout(timeout):
                    while (status := status_of(reply := await replies.get())) is None:
                        messages.append(message_of(reply))
        except _TRANSIENT as error:
            raise BusError(f"{what} failed: {error_text(error)}") from error
        if status not in ("204", "404"):
            raise BusError(f"{what} failed: {status_text(reply)}")
        return messages

    async def send(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish on core NATS, without acknowledgement."""
        try:
            with propagate_cancellation():
                await self._client.publish(subject, payload, headers=headers)
        except _TRANSIENT as error:
            raise BusError(f"sending on {subject} as {self._role} failed: {error_text(error)}") from error

    async def listen(self, subject: str) -> AsyncIterator[bytes]:
        """What is sent on core NATS from now on, for ever."""
        with propagate_cancellation():
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
            with propagate_cancellation():
                return await self._client.request(subject, payload, timeout=timeout)
        except _TRANSIENT as error:
            raise BusError(f"{what} failed: {error_text(error)}") from error


def error_text(error: BaseException) -> str:
    """What went wrong, in words: nats-py raises some errors without a text."""
    if isinstance(error, nats.errors.NoRespondersError):
        return "no stream listens there; has `peyvand bus init` run?"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
