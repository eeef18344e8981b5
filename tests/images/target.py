"""What the probers of the stack ask: one right answer to every request. Runs in a container, by Python alone."""

from __future__ import annotations

import asyncio

BODY = b'{"clear": true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Answering(asyncio.Protocol):
    """A request comes in one piece, since nothing is sent but its head."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        """Answer."""
        self._transport.write(ANSWER)


async def main() -> None:
    """Answer until the end of the container."""
    server = await asyncio.get_running_loop().create_server(Answering, "0.0.0.0", 8080, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
