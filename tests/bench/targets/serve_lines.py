"""Servers for benchmarks that talk in lines or say nothing: TCP, TLS at once, and TLS by SMTP's STARTTLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from tests.bench.targets.apart import Urls
from tests.support.servers.authority import Authority
from tests.support.servers.line_server import says_in_turn, talking

__all__ = ["serving_lines"]

_SMTP = (b"220 bench ESMTP\r\n", b"250-bench\r\n250 STARTTLS\r\n", b"220 go on\r\n")


class _Greeting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 bench\r\n")

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"221 bye\r\n" if data == b"QUIT\r\n" else b"500 what\r\n")


@asynccontextmanager
async def serving_lines(authority: Authority) -> AsyncIterator[Urls]:
    """Serve a greeting that answers QUIT, silence over TCP, silence over TLS, and SMTP that switches to TLS."""
    loop = asyncio.get_running_loop()
    tls = authority.context("127.0.0.1")
    servers = [
        await loop.create_server(made, "127.0.0.1", 0, backlog=4096, ssl=context)
        for made, context in ((_Greeting, None), (asyncio.Protocol, None), (asyncio.Protocol, tls))
    ]
    greeting, silent, secure = (server.sockets[0].getsockname()[1] for server in servers)
    async with talking(says_in_turn(*_SMTP, tls=tls)) as smtp:
        yield {
            "lines": f"tcp://127.0.0.1:{greeting}",
            "tcp": f"tcp://127.0.0.1:{silent}",
            "tls": f"tls://127.0.0.1:{secure}",
            "smtp": f"tls://127.0.0.1:{smtp.port}",
        }
    for server in servers:
        server.close()
