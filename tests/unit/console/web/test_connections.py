"""Bounds of connections to the console, over real sockets: nobody may occupy it by sending or reading nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from services.console.component import Server
from services.console.web import BoundedProtocol, connections
from services.core.tasks import cancel_and_wait
from tests.support.waiting import DEADLINE, eventually

_ROOM = 5
"""uvicorn refuses requests from this many connections on."""

_REQUEST = b"GET / HTTP/1.1\r\nHost: console\r\n\r\n"
_LONG = 64 << 20
"""More bytes than the sockets of a connection hold."""


async def _application(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Awaitable[None]]) -> None:
    """Answer `/long` with more than sockets hold, and a POST once its body is there."""
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    body = b"x" * (_LONG if scope["path"] == "/long" else 1)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


class Served:
    """A server, and connections to it."""

    def __init__(self, server: Server, port: int) -> None:
        self._server, self._port = server, port
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def count(self) -> int:
        """The connections that the server has."""
        return len(self._server.server_state.connections)

    async def open(self, content: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect and send some bytes; wait until the server has the connection."""
        before = self.count
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writers.append(writer)
        writer.write(content)
        await eventually(lambda: self.count != before or before == _ROOM - 1, "the server has the connection")
        return reader, writer


@pytest.fixture
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """A server for a few connections."""
    config = uvicorn.Config(
        _application, http=BoundedProtocol, log_config=None, lifespan="off", port=0, limit_concurrency=_ROOM
    )
    server = Server(config)
    serving = asyncio.ensure_future(server.serve())
    await eventually(lambda: server.started, "the server listens")
    one = Served(server, server.servers[0].sockets[0].getsockname()[1])
    yield one
    for writer in one.writers:
        writer.transport.abort()
    server.should_exit = True
    await asyncio.wait({serving}, timeout=DEADLINE)
    await cancel_and_wait(serving)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Return what a connection still sends until it ends."""
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), DEADLINE)
    return b""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: con",
        b"POST / HTTP/1.1\r\nHost: console\r\nContent-Length: 5\r\n\r\nbo",
        _REQUEST + b"GET / HT",
    ],
)
async def test_a_request_that_does_not_end_is_given_up(
    served: Served, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a silent connection nor a part of a head, of a body or of a second request keeps a connection."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    reader, _ = await served.open(content)
    assert (await _rest(reader)).count(b"HTTP/1.1 200 OK") == content.count(_REQUEST)


async def test_a_request_of_any_size_is_refused(served: Served) -> None:
    """A header without an end is refused, and not kept in memory."""
    reader, writer = await served.open(_REQUEST.removesuffix(b"\r\n") + b"X: ")
    ended = asyncio.ensure_future(_rest(reader))
    with suppress(ConnectionError):
        while not ended.done():
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0)
    assert await ended in (b"", connections.TOO_LARGE)  # an answer may be lost if more was sent meanwhile


async def test_a_reader_who_takes_nothing_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody reads is not kept for ever."""
    monkeypatch.setattr(connections, "READER_SECONDS", 0.2)
    reader, writer = await served.open(b"")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(_REQUEST.replace(b" / ", b" /long "))
    await eventually(lambda: served.count == 0, "the reader is dropped")
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert (await _rest(reader)).count(b"x") < _LONG


async def test_a_reader_who_takes_its_time_gets_everything(served: Served) -> None:
    """A long answer arrives as a whole, however many pauses there are while it is written."""
    reader, _ = await served.open(
        _REQUEST.replace(b" / ", b" /long ").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )
    assert (await _rest(reader)).count(b"x") == _LONG


async def test_silent_connections_make_room(served: Served) -> None:
    """A reader is answered however many connections wait for a request, and so are later ones of the same connection."""
    silent = [await served.open(b"") for _ in range(_ROOM)]
    reader, writer = await served.open(_REQUEST)
    for _ in range(2):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nx"), DEADLINE)
        assert head.startswith(b"HTTP/1.1 200 OK")
        writer.write(_REQUEST)
    assert await _rest(silent[0][0]) == b""
    assert served.count < _ROOM
    for _ in range(_ROOM):
        await served.open(b"")
    assert (await _rest(reader)).count(b"HTTP/1.1 200 OK") == 1  # it waits for a request again, and makes room as well
