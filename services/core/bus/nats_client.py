"""nats-py's client, and the connections it leaves open.

It does not say which connection it has, so its private names are used here, and nowhere else.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nats.aio.client import Client

__all__ = ["PatchedNatsClient"]

_CLOSE_SECONDS = 1.0
_CANCELLATIONS = 5


class PatchedNatsClient(Client):
    """A client that waits for no server that says nothing: not to leave it, and not to go to another."""

    async def leave(self) -> None:
        """Close the connection, and end it where that takes too long; what was still to be sent is then lost."""
        try:
            # A handshake under way would be waited for without end: nobody tells its connection that it is closed.
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()
        except OSError:  # the server is gone or silent
            self._let_go()
        await self._reconnect_no_more()

    def hang_up(self) -> None:
        """End a connection that failed before it was one: nats-py forgets it where it tries again, and leaves it open."""
        if self.is_connecting:
            self._let_go()

    async def _reconnect_no_more(self) -> None:
        """End the task that reconnects: nats-py cancels it once, and where a handshake ends at that moment it goes on."""
        task = self._reconnection_task
        for _ in range(_CANCELLATIONS):
            if task is None or task.done():
                return
            task.cancel()
            await asyncio.wait({task}, timeout=_CLOSE_SECONDS / _CANCELLATIONS)
            self._status = Client.CLOSED
            self._let_go()

    async def _attempt_reconnect(self) -> None:
        # nats-py would first wait until the connection is closed, which asyncio does when all that was written is sent:
        # to a server that takes nothing any more, never.
        self._let_go()
        await super()._attempt_reconnect()

    def _let_go(self) -> None:
        transport: Any = self._transport
        writer = None if transport is None else transport._io_writer  # noqa: SLF001  # it is nowhere else
        if writer is None:
            return
        if writer.transport is None:
            # So asyncio leaves it where the server ended the handshake; it can be closed with the connection beneath.
            writer._transport = transport._bare_io_writer.transport  # noqa: SLF001
        writer.transport.abort()
