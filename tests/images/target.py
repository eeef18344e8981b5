"""What the probers of the stack ask, and its webhooks: one right answer to every request; what was posted is its output.

Runs in a container, by Python alone.
"""

from __future__ import annotations

import asyncio
import sys

BODY = b'{"clear": true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Answering(asyncio.Protocol):
    """A request comes in one piece: probers send nothing but its head, Alertmanager a few alerts."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer, and write what was posted in one line."""
        if data.startswith(b"POST "):
            sys.stdout.write(data.decode().replace("\r\n", " ").rstrip() + "\n")
            sys.stdout.flush()
        self._transport.write(ANSWER)


async def main() -> None:
    """Answer until the end of the container."""
    server = await asyncio.get_running_loop().create_server(Answering, "0.0.0.0", 8080, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
