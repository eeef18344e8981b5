"""No seed keeps others from the bus by the connections or subscriptions that it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from nats.errors import Error as NatsError

from services.core.bus.client import PatchedNatsClient
from services.core.bus.roles import inbox_prefix, load_user
from services.core.bus.server_accounts import _LIMITS
from tests.support.nats import Nats
from tests.support.waiting import eventually


@pytest.fixture
async def clients(nats: Nats) -> AsyncIterator[AsyncExitStack]:
    """Close every client at the end."""
    async with AsyncExitStack() as stack:
        yield stack


async def _connected(nats: Nats, clients: AsyncExitStack) -> PatchedNatsClient:
    """Connect by a prober's seed, once."""
    user, client = load_user(nats.credentials, "prober"), PatchedNatsClient()
    clients.push_async_callback(client.leave)
    await client.connect(
        nats.url, nkeys_seed_str=user.seed, inbox_prefix=inbox_prefix(user.public_key), allow_reconnect=False
    )
    return client


async def test_a_seed_has_so_many_connections(nats: Nats, clients: AsyncExitStack) -> None:
    """The next connection of a seed is refused, and other roles connect as before."""
    for _ in range(_LIMITS["max_connections"]):
        await _connected(nats, clients)
    with pytest.raises(NatsError, match="maximum account active connections"):
        await _connected(nats, clients)
    async with nats.connect("scorer") as scorer:
        assert scorer.connected


async def test_a_connection_has_so_many_subscriptions(nats: Nats, clients: AsyncExitStack) -> None:
    """A connection that subscribes beyond the limit is refused what is beyond."""
    client = await _connected(nats, clients)
    inbox = client.new_inbox()
    log = nats.folder / "nats.log"
    for number in range(_LIMITS["max_subscriptions"]):
        await client.subscribe(f"{inbox}.{number}")
    await client.flush()
    assert "maximum subscriptions exceeded" not in log.read_text("utf-8")
    await client.subscribe(f"{inbox}.beyond")
    await eventually(lambda: "maximum subscriptions exceeded" in log.read_text("utf-8"), "the server refuses one")
