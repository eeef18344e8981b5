"""Streams: publishing, reading, following. Every call has a deadline; failures raise BusError.

Streams and buckets are read by batched direct get (nats-server 2.11 or newer). It needs no JetStream consumer, so there is
no position on the server that could be lost; a core subscription only signals when to read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.core.bus.client import ReplyInbox
from services.core.bus.messages import (
    LAST_HEADER,
    StoredMessage,
    StreamState,
    error_text,
    message_of,
    moment_of,
    not_last,
    status_of,
    status_text,
)
from services.core.errors import BusError, NoStreamError
from services.core.log import logger
from services.core.tasks import propagate_cancellation

RETRY_SECONDS = 0.2
"""How long to wait before a failed request is repeated."""

_TIMEOUT = 5.0  # seconds that a call may take, unless its caller says otherwise
_POLL_SECONDS = 5.0  # how long a follower waits for a signal before it reads anyway
_RECHECK_SECONDS = 1.0  # after such a pause, or a failure, a follower checks that the stream is the one it has read
_TIME_ERROR = timedelta(milliseconds=1)  # more than a stored time loses as a float
_BATCH_BYTES = 8 << 20
_TRANSIENT = (nats.errors.Error, OSError, TimeoutError)


class Streams:
    """Streams over one connection."""

    def __init__(self, client: Client, role: str, replies: ReplyInbox) -> None:
        self.client = client  # backup and restore use it too
        self._role = role
        self._replies = replies
        self._signals: set[asyncio.Event] = set()  # of every follower
        self._failing: set[asyncio.Event] = set()  # signals of followers whose last read failed
        self.jetstream: JetStreamContext = client.jetstream()

    @property
    def connected(self) -> bool:
        """Whether the server is connected at this moment."""
        return self.client.is_connected

    @property
    def following(self) -> bool:
        """Whether every follower's last read succeeded: a stream may be gone from a server that is up."""
        return not self._failing

    def wake_followers(self) -> None:
        """Have every follower read, since it may have missed a signal."""
        for signal in self._signals:
            signal.set()

    async def publish(
        self, subject: str, payload: bytes, *, message_id: str, timeout: float = _TIMEOUT, follows: int | None = None
    ) -> int:
        """Publish to a stream and return the sequence of the message once it is on disk.

        The same ``message_id`` within two minutes is stored once. Raises NotLastError unless ``follows``, if given, is
        the sequence of the last message on the subject, and BusError when not acknowledged in time.
        """
        headers = {"Nats-Msg-Id": message_id} if message_id else {}
        if follows is not None:
            headers[LAST_HEADER] = str(follows)
        try:
            return await self._store(subject, payload, headers, f"publishing on {subject}", timeout=timeout)
        except BusError as error:
            raise not_last(error) or error from error.__cause__

    async def _store(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        what: str,
        *,
        timeout: float = _TIMEOUT,
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
        """Yield every message of a stream from ``start`` on, forever, across disconnections.

        When the stream is deleted and recreated, every message of the new one follows. When it is restored to an
        earlier state, all its messages follow as soon as another message is stored.
        """
        signal, clock, newest, due = asyncio.Event(), asyncio.get_running_loop().time, 0.0, 0.0

        async def on_message(_: Msg) -> None:
            signal.set()

        with propagate_cancellation():
            subscription = await self.client.subscribe(pattern, cb=on_message)
        self._signals.add(signal)
        try:
            while True:
                signalled = signal.is_set()
                signal.clear()
                try:
                    messages = await self.read(stream, start, pattern=pattern)
                    # That there are messages proves nothing: a recreated stream may have outgrown the position.
                    doubtful = newest and (clock() >= due or (signalled and not messages))
                    if doubtful and await self._is_recreated(stream, start, newest, pattern):
                        logger().warning("stream_made_anew", stream=stream, read_before=start - 1)
                        start = 1
                        continue
                    due = clock() + _RECHECK_SECONDS
                except BusError as error:
                    due = 0.0
                    self._failing.add(signal)
                    logger().warning("bus_read_failed", stream=stream, reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._failing.discard(signal)
                for message in messages:
                    yield message
                if messages:
                    start = messages[-1].sequence + 1
                    newest = max(newest, *(message.time for message in messages))
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await signal.wait()
        finally:
            self._failing.discard(signal)
            self._signals.discard(signal)
            if self.client.is_connected:
                await subscription.unsubscribe()

    async def _is_recreated(self, stream: str, start: int, newest: float, pattern: str) -> bool:
        """Whether the stream is no longer the one that was read up to ``start``; the last message is of ``newest``.

        In a recreated stream sequences begin again, so a message before ``start`` was stored after ``newest``. A replica
        that lags behind has no such message. The time of creation would tell too, but few roles may request it.
        """
        since = datetime.fromtimestamp(newest, UTC) + _TIME_ERROR
        later = await self.read(stream, start, pattern=pattern, limit=1, since=since)
        return bool(later) and later[0].sequence < start

    async def stream_state(self, stream: str) -> StreamState:
        """Return when a stream was created and which sequences it holds. Raises BusError when there is no such stream."""
        answer = await self._stream_info(stream, {})
        state = answer["state"]
        last = int(state["last_seq"])
        # first_seq is 0 in a stream that never held a message.
        first = int(state["first_seq"]) or last + 1
        config = answer["config"]
        return StreamState(
            answer["created"],
            first,
            last,
            int(state["messages"]),
            int(state["bytes"]),
            now=moment_of(answer["ts"]),
            max_age=int(config.get("max_age", 0)) / 1e9,
            limit=max(0, int(config.get("max_bytes", 0))),  # -1 without one
        )

    async def were_deleted(self, stream: str, first: int, last: int, *, or_lost: bool = False) -> bool:
        """Return whether the server says that each message from ``first`` to ``last`` was deleted by request.

        Messages lost with a damaged file were not; with ``or_lost`` they count as well. Raises BusError.
        """
        state = (await self._stream_info(stream, {"deleted_details": True}))["state"]
        lost = () if or_lost else (state.get("lost") or {}).get("msgs") or ()
        return set(range(first, last + 1)) <= {*(state.get("deleted") or ())} - {*lost}

    async def read(
        self,
        stream: str,
        start: int,
        *,
        pattern: str = ">",
        limit: int = 500,
        timeout: float = _TIMEOUT,
        since: datetime | None = None,
    ) -> list[StoredMessage]:
        """Return up to ``limit`` stored messages from sequence ``start`` on, in order; empty when there are none yet.

        If the connection is too slow for all of them, return those that came in time. Raises BusError when none came.
        With ``since``, return messages stored at or after that time, whatever ``start`` is.
        """
        what = f"reading stream {stream} from {since or start}"
        first = {"seq": start} if since is None else {"start_time": since.isoformat()}
        request = {**first, "batch": limit, "max_bytes": _BATCH_BYTES, "next_by_subj": pattern}
        payload = json.dumps(request).encode()
        messages: list[StoredMessage] = []
        try:
            with self._replies.expected() as (subject, replies):
                with propagate_cancellation():
                    await self.client.publish(f"$JS.API.DIRECT.GET.{stream}", payload, reply=subject)
                try:
                    async with asyncio.timeout(timeout):
                        while (status := status_of(reply := await replies.get())) is None:
                            messages.append(message_of(reply))
                except TimeoutError:
                    if not messages:
                        raise
                    return messages  # the connection is slow: nothing is missing up to here
        except _TRANSIENT as error:
            raise BusError(f"{what} failed: {error_text(error)}") from error
        if status not in ("204", "404"):
            raise BusError(f"{what} failed: {status_text(reply)}")
        return messages

    async def send(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None, *, reply: str = ""
    ) -> None:
        """Publish on core NATS, without acknowledgement."""
        try:
            with propagate_cancellation():
                await self.client.publish(subject, payload, reply=reply, headers=headers)
        except _TRANSIENT as error:
            raise BusError(f"sending on {subject} as {self._role} failed: {error_text(error)}") from error

    async def listen(self, subject: str) -> AsyncIterator[bytes]:
        """Yield the payloads sent on core NATS from now on, forever."""
        with propagate_cancellation():
            subscription = await self.client.subscribe(subject)
        try:
            async for message in subscription.messages:
                yield message.data
        finally:
            if self.client.is_connected:
                await subscription.unsubscribe()

    async def _stream_info(self, stream: str, request: Mapping[str, str | bool]) -> dict[str, Any]:
        what = f"reading the state of stream {stream}"
        return await self.request_api(f"$JS.API.STREAM.INFO.{stream}", json.dumps(request).encode(), what)

    async def request_api(self, subject: str, payload: bytes, what: str, timeout: float = _TIMEOUT) -> dict[str, Any]:
        """Request a subject of JetStream's API and return the answer.

        Raises BusError, which begins with ``what``, when there is no answer or it is an error.
        """
        reply = await self._request(subject, payload, what, timeout)
        answer: dict[str, Any] = json.loads(reply.data) if reply.data else {}
        if "error" in answer:
            hint = "; has `peyvand bus init` run?" if answer["error"].get("code") == 404 else ""
            raise BusError(f"{what} failed: {answer['error'].get('description')}{hint}")
        return answer

    async def request_all(self, subject: str, payload: bytes, *, most: int, timeout: float = _TIMEOUT) -> list[bytes]:
        """Request a subject that each server answers; return up to ``most`` answers that come in time, possibly none.

        Raises BusError when it cannot be sent.
        """
        answers: list[bytes] = []
        with self._replies.expected() as (reply_subject, replies):
            await self.send(subject, payload, reply=reply_subject)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while len(answers) < most:
                        reply = await replies.get()
                        answers += [reply.data] if reply.data else []
        return answers

    async def _request(self, subject: str, payload: bytes, what: str, timeout: float = _TIMEOUT) -> Msg:
        try:
            with propagate_cancellation():
                return await self.client.request(subject, payload, timeout=timeout)
        except nats.errors.NoRespondersError as error:
            raise NoStreamError(f"{what} failed: {error_text(error)}") from error
        except _TRANSIENT as error:
            raise BusError(f"{what} failed: {error_text(error)}") from error
