"""Bytes that arrive in bulk are processed a step in each turn of the loop, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from services.prober.http.http1 import Http1Connection
from services.prober.http.http_connection import WireRequest
from services.prober.transport import connection as module

BODY = b"0123456789" * 2000
REQUEST = WireRequest(b"GET / HTTP/1.1\r\n\r\n", "tax", 80, None, len(BODY), head=False)


class _Recording(Http1Connection):
    """Records its steps, and calls ``after_first`` after the first one."""

    def __init__(self, after_first: Callable[[_Recording], None]) -> None:
        super().__init__(asyncio.get_running_loop().create_future(), REQUEST)
        self.turns = 0
        self.steps: list[tuple[int, int]] = []
        self._after_first = after_first

    def received(self, data: bytes) -> None:
        self.steps.append((self.turns, len(data)))
        super().received(data)
        if len(self.steps) == 1:
            self._after_first(self)
        asyncio.get_running_loop().call_soon(self._count_turn)

    def _count_turn(self) -> None:
        self.turns += 1


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURN_SECONDS", -1.0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, where the second has sent a whole answer."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY))
        yield ours, theirs


async def _read(ours: socket.socket, after_first: Callable[[_Recording], None]) -> _Recording:
    connection = _Recording(after_first)
    await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
    return connection


async def test_each_turn_processes_a_step(pair: tuple[socket.socket, socket.socket]) -> None:
    """One read is processed whole and in order, over several turns."""
    connection = await _read(pair[0], lambda _: None)
    await connection.done
    assert b"".join(connection.body) == BODY
    assert max(size for _, size in connection.steps) <= module._STEP_BYTES
    assert len({turn for turn, _ in connection.steps}) == len(connection.steps) > 4
    assert connection.busy > 0


async def test_what_came_before_a_lost_connection_is_processed(pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection that is lost while a read is being processed still has its answer."""

    def lose(connection: _Recording) -> None:
        assert connection._transport is not None
        connection._transport.abort()

    connection = await _read(pair[0], lose)
    await connection.done
    assert (connection.failure, b"".join(connection.body)) == (None, BODY)


async def test_a_deadline_ends_within_a_read(pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection that is released while a read is being processed processes no more of it."""
    connection = await _read(pair[0], lambda connection: connection.release())
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(connection.steps) == 1
    assert not connection.done.done()
