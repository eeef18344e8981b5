"""A transport for connections that are fed by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from services.prober.transport import FreshConnection

__all__ = ["DeafTransport", "fed"]

C = TypeVar("C", bound=FreshConnection)


class DeafTransport(asyncio.Transport):
    """Accepts everything, keeps what was sent, and is its own socket. ``reads`` is set while reading is not paused."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.reads = asyncio.Event()
        self.reads.set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def abort(self) -> None:
        self.reads.set()

    def get_extra_info(self, *_: object) -> object:
        return self

    def setsockopt(self, *_: object) -> None:
        pass


def fed(
    make: Callable[[asyncio.Future[None]], C], pieces: Iterable[bytes] = (), *, closes: bool = False
) -> tuple[C, bytes]:
    """Feed a connection with pieces, each once it has processed the last one. Return it and what it has sent."""

    async def feed() -> tuple[C, bytes]:
        connection, transport = make(asyncio.get_running_loop().create_future()), DeafTransport()
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
            await transport.reads.wait()
        if closes:
            connection.eof_received()
        return connection, bytes(transport.sent)

    return asyncio.run(feed())
