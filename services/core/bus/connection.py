"""A connection to the bus, in one role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

from services.core.bus.buckets import Bus
from services.core.bus.replies import Replies
from services.core.bus.roles import inbox_prefix, load_user
from services.core.bus.streams import RETRY_SECONDS, why
from services.core.errors import BusError
from services.core.log import logger

__all__ = ["Bus", "connect"]


@asynccontextmanager
async def connect(url: str, *, role: str, credentials: Path, name: str) -> AsyncIterator[Bus]:
    """Connect as ``role``, waiting as long as it takes for a server that is not there yet.

    Raises BusError when the server refuses the credential, SettingsError when there is none.
    """
    user = load_user(credentials, role)
    log = logger().bind(bus=url)

    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_error(error: Exception) -> None:
        if "authorization" in str(error).lower() and not refused.done():
            refused.set_result(None)
        log.warning("bus_error", reason=why(error))

    async def on_disconnected() -> None:
        if not closing:
            log.warning("bus_disconnected")

    async def on_reconnected() -> None:
        log.info("bus_reconnected")

    client = Client()
    closing = False
    connecting = asyncio.ensure_future(
        client.connect(
            url,
            name=name,
            nkeys_seed_str=user.seed,
            inbox_prefix=inbox_prefix(user.public_key),
            max_reconnect_attempts=-1,
            reconnect_time_wait=RETRY_SECONDS,  # type: ignore[arg-type]  # slept as it is, a float serves
            connect_timeout=2,
            ping_interval=5,
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
        )
    )
    # The client tries for ever, also where it is refused; waiting would then never end.
    try:
        await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait({connecting})
    if refused.done():
        raise BusError(f"{url} refuses the credential of role {role}: use the one its configuration names")
    connecting.result()
    try:
        yield Bus(client, role, await Replies.subscribed(client))
    finally:
        closing = True
        await client.close()
