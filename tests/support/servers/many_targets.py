"""Serve ten thousand targets for the prober: `python -m tests.support.servers.many_targets` runs until it is killed.

It prints two ports. On the first, every connection is answered. On the second, connections are accepted and nothing is
ever sent. Both listen on all of 127.0.0.0/8, so that no pair of addresses runs out of ports.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_BACKLOG = 4096


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports derive from no class of asyncio
        self._request = b""

    def data_received(self, data: bytes) -> None:
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            self._request = b""
            self._transport.write(_ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    answering = await loop.create_server(_Answering, "0.0.0.0", 0, backlog=_BACKLOG)
    hung = await loop.create_server(asyncio.Protocol, "0.0.0.0", 0, backlog=_BACKLOG)
    print(*(server.sockets[0].getsockname()[1] for server in (answering, hung)), flush=True)  # noqa: T201 - read by the test
    await asyncio.gather(answering.serve_forever(), hung.serve_forever())


if __name__ == "__main__":
    sys.exit(uvloop.run(_serve()))
