"""nats-py's client, patched where it leaves connections open.

It has no public name for its connection, so this module, and no other, uses its private names.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nats.aio.client import Client

_CLOSE_SECONDS = 1.0
_CANCELLATIONS = 5


class PatchedNatsClient(Client):
    """A client that waits for no silent server, neither when it disconnects nor when it reconnects to another."""

    async def leave(self) -> None:
        """Close the connection, and abort it when that takes too long, in which case unsent data is lost."""
        try:
            # Closing would wait for ever for a handshake under way: its connection is never told to close.
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()
        except OSError:  # the server is gone or silent
            self._abort()
        await self._stop_reconnecting()

    def abort_handshake(self) -> None:
        """Abort a connection that failed while connecting: nats-py forgets it when it retries, and leaves it open."""
        if self.is_connecting:
            self._abort()

    async def _stop_reconnecting(self) -> None:
        """End the task that reconnects: nats-py cancels it once, which a handshake that ends at that moment swallows."""
        task = self._reconnection_task
        for _ in range(_CANCELLATIONS):
            if task is None or task.done():
                return
            task.cancel()
            await asyncio.wait({task}, timeout=_CLOSE_SECONDS / _CANCELLATIONS)
            self._status = Client.CLOSED
            self._abort()

    async def _attempt_reconnect(self) -> None:
        # nats-py would first wait until the connection is closed, which asyncio does once all written data is sent: never,
        # if the server has stopped reading.
        self._abort()
        await super()._attempt_reconnect()

    def _abort(self) -> None:
        transport: Any = self._transport
        writer = None if transport is None else transport._io_writer  # noqa: SLF001  # there is no public name
        if writer is None:
            return
        if writer.transport is None:
            # asyncio leaves it so when the server ended the TLS handshake; the connection below can still be closed.
            writer._transport = transport._bare_io_writer.transport  # noqa: SLF001
        writer.transport.abort()
