"""Real servers on loopback for line protocols, with STARTTLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.waiting import DEADLINE

__all__ = ["Connection", "LineServer", "says_in_turn", "talking"]


@dataclass
class Connection:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[bytes]

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, length: int = 0) -> bytes:
        """Read a line, or this many bytes."""
        data = await (self.reader.readexactly(length) if length else self.reader.readline())
        self.heard.append(data)
        return data

    async def secure(self, tls: ssl.SSLContext) -> None:
        """Switch to TLS."""
        await self.writer.start_tls(tls)

    def reset(self) -> None:
        """Reset the connection."""
        plug = self.writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def wait(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(4096):
                pass


@dataclass
class LineServer:
    """A running server: its port, the number of connections, and the data it received."""

    port: int
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until a condition on the server holds."""
        async with asyncio.timeout(DEADLINE), self.changed:
            await self.changed.wait_for(true)


Handler = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def talking(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[LineServer]:
    """Run a server that passes each connection to ``handler`` and then closes it."""
    tasks: set[asyncio.Task[None]] = set()

    async def note() -> None:
        async with server.changed:
            server.changed.notify_all()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        await note()
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            await handler(Connection(reader, writer, server.heard))
        writer.close()
        tasks.discard(task)
        await note()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    server = LineServer(listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says_in_turn(*answers: bytes, tls: ssl.SSLContext | None = None, then: str = "wait", asked: int = 0) -> Handler:
    """A handler that sends the first answer at once, unless it is empty, then one for each line it receives.

    ``asked`` is the number of bytes that it reads instead of a line. With ``tls`` it switches to TLS after the answers.
    In the end it waits, closes or resets, as ``then`` says.
    """

    async def handle(connection: Connection) -> None:
        for turn, said in enumerate(answers):
            if turn:
                await connection.hear(asked)
            if said:
                await connection.say(said)
        if tls is not None:
            await connection.secure(tls)
        if then == "wait":
            await connection.wait()
        elif then == "reset":
            connection.reset()

    return handle
