"""One command recreates a stream of a cluster that every server has lost."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from services.core.bus import remake_stream
from services.core.errors import BusError
from tests.support.nats import Nats
from tests.support.servers.deployed_nats import Deployed, deployed, initialised
from tests.support.waiting import DEADLINE, answered, eventually

LOST = "KV_indicator"


def _lose(servers: Deployed) -> None:
    """Restart all servers without the messages of a bucket, as after a power cut. The group's snapshot stays."""
    for node in tuple(servers.running):
        servers.stop(node)
    for node in range(servers.nodes):
        (messages,) = servers.store(node).rglob(f"{LOST}/msgs")
        shutil.rmtree(messages)
    for node in range(servers.nodes):
        servers.start(node)


@pytest.mark.slow
async def test_a_stream_without_a_leader_is_made_anew(tmp_path: Path) -> None:
    """The bucket accepts values again, and other buckets keep theirs."""
    with deployed(tmp_path / "cluster", "cluster.conf", 3) as servers:
        async with asyncio.timeout(2 * DEADLINE):
            async with servers.connect("admin") as admin, servers.connect("register") as register:
                await initialised(admin, replicas=3)
                async with servers.connect("scorer") as scorer:
                    await answered(lambda: scorer.kv_put("indicator", "a", b"lost"))
                await answered(lambda: register.kv_put("register", "a", b"kept"))
            _lose(servers)
            async with servers.connect("admin") as admin, servers.connect("scorer") as scorer:

                async def leaderless() -> bool:
                    info = await answered(lambda: admin.request_api(f"$JS.API.STREAM.INFO.{LOST}", b"", "asking"))
                    return not info["cluster"].get("leader")

                assert await eventually(leaderless, "no server led the bucket")
                assert servers.peyvand("admin", "bus", "remake", LOST) == f"ready: {LOST}, which is empty\n"
                await answered(lambda: scorer.kv_put("indicator", "b", b"new"))
                assert await answered(lambda: scorer.kv_all("indicator")) == {"b": b"new"}
                assert await answered(lambda: scorer.kv_get("register", "a")) == b"kept"


async def test_a_stream_that_is_served_is_left_alone(nats: Nats) -> None:
    """A stream that has its messages is not deleted, and neither is one that is not ours."""
    async with nats.connect("admin") as admin:
        with pytest.raises(BusError, match="stream KV_register is served, and stays as it is"):
            await remake_stream(admin, "KV_register")
        with pytest.raises(BusError, match="there is no stream OTHERS: there are MEASUREMENTS"):
            await remake_stream(admin, "OTHERS")
