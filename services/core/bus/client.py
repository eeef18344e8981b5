"""A nats-py client patched to close its connections and to survive bad headers, and requests over it.

nats-py has no public name for its connection, so this module, and no other, uses its private names.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from nats.aio.client import Client, Srv
from nats.aio.msg import Msg

from services.core.errors import BusError
from services.core.network import is_ip_address
from services.core.tasks import run_in_daemon_thread

_CLOSE_SECONDS = 1.0
_CANCELLATIONS = 5
_LINE_END = b"\r\n"
_STATUS_LINE = re.compile(rb"NATS/1\.0 +([0-9]{3})(?: +(.*))?", re.DOTALL)
Call = Callable[[], Coroutine[Any, Any, object]]


class PatchedNatsClient(Client):
    """A client that never waits for a silent server, whether it disconnects or reconnects to another server."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[str, asyncio.Task[Exception | None]] = {}

    @property
    def tried(self) -> str:
        """The host of the server that was tried last: nats-py moves it to the end of the pool."""
        return self._server_pool[-1].uri.hostname or ""

    async def _connect_to_server(self, s: Srv) -> None:
        # nats-py gives one time to looking up the name and connecting, and so cannot tell which of them took too long.
        # A lookup takes a thread, which an address does not need.
        if not is_ip_address(s.uri.hostname or ""):
            try:
                async with asyncio.timeout(self.options["connect_timeout"]):
                    failure = await asyncio.shield(self._lookup(s.uri.hostname or ""))
            except TimeoutError as error:
                raise socket.gaierror(socket.EAI_AGAIN, "no name server answered in time") from error
            if failure is not None:
                raise failure
        await super()._connect_to_server(s)

    def _lookup(self, host: str) -> asyncio.Task[Exception | None]:
        """Return the lookup of a host that is under way, or a new one. Silent name servers hold one for half a minute."""
        lookup = self._lookups.get(host)
        if lookup is None or lookup.done():
            lookup = self._lookups[host] = asyncio.create_task(_look_up(host))
        return lookup

    async def leave(self) -> None:
        """Close the connection, or abort it when closing takes too long; unsent data is then lost."""
        try:
            # Closing would wait forever for a handshake in progress: its connection is never told to close.
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()
        except (OSError, TypeError):
            # The server is gone or silent. Python 3.13 raises TypeError where lines are written to a closed connection.
            self._abort()
        await self._stop_reconnecting()

    def abort_handshake(self) -> None:
        """Abort a connection that failed while connecting: nats-py forgets it when it retries, and leaves it open."""
        if self.is_connecting:
            self._abort()

    async def _stop_reconnecting(self) -> None:
        """End the reconnection task: nats-py cancels it only once, and a handshake that ends then swallows that."""
        task = self._reconnection_task
        for _ in range(_CANCELLATIONS):
            if task is None or task.done():
                return
            task.cancel()
            await asyncio.wait({task}, timeout=_CLOSE_SECONDS / _CANCELLATIONS)
            self._status = Client.CLOSED
            self._abort()

    async def _attempt_reconnect(self) -> None:
        # nats-py would first wait until the connection is closed. asyncio closes it once all written data is sent,
        # which never happens if the server has stopped reading.
        self._abort()
        await super()._attempt_reconnect()

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        # When the first line is short or not UTF-8, nats-py would raise, which ends its connection. A publisher chooses
        # that line.
        return parse_headers(headers) if headers else None

    def _abort(self) -> None:
        transport: Any = self._transport
        writer = None if transport is None else transport._io_writer  # noqa: SLF001  # there is no public name
        if writer is None:
            return
        if writer.transport is None:
            # asyncio leaves it None when the server ended the TLS handshake; the connection below can still be closed.
            writer._transport = transport._bare_io_writer.transport  # noqa: SLF001
        writer.transport.abort()


async def _look_up(host: str) -> Exception | None:
    """Look up a host, and return why that failed, None if it did not."""
    try:
        await run_in_daemon_thread(partial(socket.getaddrinfo, host, None))
    except (OSError, UnicodeError) as error:
        return error
    return None


def parse_headers(block: bytes) -> dict[str, str] | None:
    """Return the headers of a message, with the status and description of its first line; None when there is nothing.

    Bytes that are not UTF-8 become replacement characters. The last header of a name counts: the server adds its own at
    the end.
    """
    first, _, lines = bytes(block).partition(_LINE_END)
    headers: dict[str, str] = {}
    if status := _STATUS_LINE.fullmatch(first):
        headers["Status"] = status[1].decode()
        if status[2]:
            headers["Description"] = status[2].decode("utf-8", "replace")
    for line in lines.split(_LINE_END):
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.strip().decode("utf-8", "replace")] = value.strip().decode("utf-8", "replace")
    return headers or None


class ReplyInbox:
    """Sorts replies to requests by the last token of their subject.

    No token is used twice, so a reply that arrives after its request was given up is dropped. The client renews the
    subscription after a reconnection.
    """

    def __init__(self, inbox: str) -> None:
        self._inbox = inbox
        self._last = 0
        self._waiting: dict[str, asyncio.Queue[Msg]] = {}

    @classmethod
    async def subscribed(cls, client: Client) -> ReplyInbox:
        """Subscribe to a new inbox, for as long as the client lives."""
        replies = cls(client.new_inbox())
        await client.subscribe(f"{replies._inbox}.*", cb=replies._take)
        return replies

    @contextmanager
    def expected(self) -> Iterator[tuple[str, asyncio.Queue[Msg]]]:
        """Yield a reply subject and the queue of what arrives on it until the context is left."""
        self._last += 1
        subject = f"{self._inbox}.{self._last}"
        # Not next_msg of nats-py: it uses asyncio.wait_for, which on Python 3.11 can swallow a cancellation.
        queue = self._waiting[subject] = asyncio.Queue()
        try:
            yield subject, queue
        finally:
            del self._waiting[subject]

    async def _take(self, message: Msg) -> None:
        queue = self._waiting.get(message.subject)
        if queue is not None:
            queue.put_nowait(message)


class BoundedTaskGroup:
    """Runs calls as tasks, at most ``limit`` at a time over all callers of `run`."""

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)

    async def run(self, calls: Iterable[Call] | AsyncIterable[Call]) -> None:
        """Make all calls, each taken from ``calls`` when a slot is free. Raises the first BusError."""
        try:
            async with asyncio.TaskGroup() as group:
                async for call in calls if isinstance(calls, AsyncIterable) else _each(calls):
                    await self._slots.acquire()
                    # A callback releases the slot: a task that is cancelled before it starts runs no code of its own.
                    group.create_task(call()).add_done_callback(lambda _: self._slots.release())
        except* BusError as errors:
            raise errors.exceptions[0] from None


async def _each(calls: Iterable[Call]) -> AsyncIterator[Call]:
    for call in calls:
        yield call
        await asyncio.sleep(0)  # begin it before the next one is taken
