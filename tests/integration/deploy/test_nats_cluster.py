"""The deployed cluster of nats-servers, with nodes that die, hang and are reloaded."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import nats.errors
import pytest

from services.core.bus import Bus
from services.core.bus.names import EXCHANGES, MEASUREMENTS, REGISTER_BUCKET, indicator_subject, measurement_subject
from services.core.bus.topology import stream_configs
from services.core.errors import BusError
from tests.support.nats import port_of
from tests.support.servers.deployed_nats import VANTAGES, Deployed, deployed, initialised
from tests.support.waiting import DEADLINE, answered


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Deployed]:
    """Three servers by deploy/nats/cluster.conf."""
    with deployed(tmp_path / "cluster", "cluster.conf", 3) as servers:
        yield servers


@pytest.mark.slow
async def test_a_cluster_loses_nothing_with_a_node(cluster: Deployed) -> None:
    """With three copies and one node down, acknowledged messages stay and new ones are accepted; the node catches up."""
    async with asyncio.timeout(2 * DEADLINE), cluster.connect("admin") as admin:
        await initialised(admin, replicas=3)
        async with cluster.connect("prober-south", "prober") as prober, cluster.connect("scorer") as scorer:
            stored = [await _published(prober, n) for n in range(20)]
            cluster.kill(1)
            stored += [await _published(prober, n) for n in range(20, 40)]
            assert stored == list(range(1, 41))
            read: list[int] = []
            while len(read) < 40:  # the replica that answers may lack the newest for a moment
                assert read == list(range(len(read)))
                read = [int(message.data) for message in await scorer.read(MEASUREMENTS, 1)]
            assert read == list(range(40))
            cluster.start(1)
            while not await _copies_are_current(admin):  # noqa: ASYNC110  # other processes
                await asyncio.sleep(0.1)
            cluster.kill(0)
            assert await _published(prober, 40) == 41


async def test_copies_stay_as_many_as_there_are(cluster: Deployed) -> None:
    """`bus init` without --replicas, as in the runbook, keeps three copies and gives a missing stream as many."""
    async with asyncio.timeout(DEADLINE), cluster.connect("admin") as admin:
        await initialised(admin, replicas=3)
        await admin.jetstream.delete_stream(EXCHANGES)
        assert cluster.peyvand("admin", "bus", "init").startswith("ready: MEASUREMENTS")
        assert await _copies(admin) == {config.name: 3 for config in stream_configs(3)}
        cluster.peyvand("admin", "bus", "init", "--replicas", "1")
        assert await _copies(admin) == {config.name: 1 for config in stream_configs(1)}


async def _copies(admin) -> dict[str, int]:
    return {info.config.name: info.config.num_replicas for info in await admin.jetstream.streams_info()}


async def _published(prober, number: int) -> int:
    """Publish as probers do: repeatedly under the same id, until it is acknowledged."""
    subject = measurement_subject("south", 0)
    return await answered(partial(prober.publish, subject, b"%d" % number, message_id=f"m{number}", timeout=2))


async def _copies_are_current(admin) -> bool:
    for config in stream_configs(3):
        try:
            info = await admin.jetstream.stream_info(config.name)
        except (nats.errors.Error, TimeoutError):
            return False  # it was led by the node that is down, and has no new leader yet
        replicas = info.cluster.replicas if info.cluster else None
        if not replicas or len(replicas) != 2 or not all(peer.current and not peer.offline for peer in replicas):
            return False
    return True


async def test_a_seed_is_replaced_without_an_interruption(alone: Deployed) -> None:
    """Both seeds are admitted until the old one is retired; then only the new one is."""
    users = alone.secrets / "users"
    flags = [word for name in VANTAGES for word in ("--vantage", name)]
    with_old = users / "api"
    async with alone.connect("api") as old:
        old_seed = (with_old / "api.nk").read_bytes()
        assert "replaced: api" in _bus_users(alone, *flags, "--replace", "api")
        alone.reload()
        await _until_admitted(alone)
        assert old.connected
        assert "retired: api" in _bus_users(alone, *flags, "--retire")
        alone.reload()
        async with asyncio.timeout(DEADLINE):
            while old.connected:  # noqa: ASYNC110  # the server, another process, drops it
                await asyncio.sleep(0.05)
    async with alone.connect("api") as new:
        assert new.connected
    (with_old / "api.nk").write_bytes(old_seed)
    with pytest.raises(BusError, match="refuses the credential of role api"):
        async with alone.connect("api"):
            pass


async def test_a_vantage_is_added_while_others_go_on(alone: Deployed) -> None:
    """A reload lets a new vantage's prober publish and follow, while another one stays connected and loses nothing."""
    published = await _published_while_a_vantage_is_added(alone, replicas=1)
    assert published == sorted({*published})  # none was sent twice


@pytest.mark.slow
async def test_a_vantage_is_added_to_a_cluster_while_others_go_on(cluster: Deployed) -> None:
    """The same holds for three servers that are reloaded at the same time."""
    published = await _published_while_a_vantage_is_added(cluster, replicas=3)
    assert published == sorted({*published})


async def _published_while_a_vantage_is_added(servers: Deployed, *, replicas: int) -> list[int]:
    """Add vantage west, which then publishes and follows; return the sequences of what vantage north published meanwhile."""
    published: list[int] = []

    async def publish(prober: Bus) -> None:
        while True:
            # As probers do: again under the same id, since a server that reloads may refuse a message.
            send = partial(prober.publish, measurement_subject("north", 0), b"x", message_id=str(len(published)))
            published.append(await answered(send))

    async with asyncio.timeout(2 * DEADLINE), servers.connect("admin") as admin:
        await initialised(admin, replicas=replicas)
        async with (
            servers.connect("prober-north", "prober") as north,
            servers.connect("register") as register,
            asyncio.TaskGroup() as group,
        ):
            publishing = group.create_task(publish(north))
            flags = [word for name in (*VANTAGES, "west") for word in ("--vantage", name)]
            assert "made: prober-west" in await asyncio.to_thread(_bus_users, servers, *flags)
            await asyncio.to_thread(servers.reload)
            async with servers.connect("prober-west", "prober") as west:
                await answered(partial(west.publish, measurement_subject("west", 0), b"x", message_id="west"))
                await register.kv_put(REGISTER_BUCKET, "current", b"new")
                assert await anext(west.kv_follow(REGISTER_BUCKET, "current")) == ("current", b"new")
            before = len(published)
            while len(published) < before + 10:  # noqa: ASYNC110  # another task
                await asyncio.sleep(0.01)
            publishing.cancel()
        assert north.client.stats["reconnects"] == 0
    return published


async def _until_admitted(servers: Deployed) -> None:
    """Wait until the server has read its new users."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                async with servers.connect("api"):
                    return
            except BusError:
                await asyncio.sleep(0.05)


def _bus_users(servers: Deployed, *flags: str) -> str:
    return servers.peyvand(
        "admin", "bus", "users", str(servers.secrets / "users"), *flags, "--out", str(servers.users_conf)
    )


async def test_leaving_does_not_wait_for_a_silent_server(alone: Deployed) -> None:
    """A client that is closed while it reconnects to a silent server does not wait for that server."""
    met: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    async with asyncio.timeout(DEADLINE):
        async with alone.connect("scorer") as bus:
            alone.kill(0)
            mute = await asyncio.start_server(
                lambda _reader, writer: met.put_nowait(writer), "127.0.0.1", alone.ports[0]
            )
            silent = await met.get()
        assert bus.client.is_closed
        mute.close()
        silent.transport.abort()


async def test_a_silent_node_is_left_for_another(cluster: Deployed) -> None:
    """With more unsent data than a hung node accepts, the client switches to another node, over TLS too."""
    async with asyncio.timeout(DEADLINE), cluster.connect("scorer") as bus:
        port = port_of(bus)
        assert port is not None
        cluster.running[cluster.ports.index(port)].send_signal(signal.SIGSTOP)
        subject, beneath = (
            indicator_subject("government", "country", 28),
            cast(Any, bus.client._transport)._io_writer.transport,
        )
        beneath._ssl_protocol._ssl_shutdown_timeout = 2 * DEADLINE  # after which asyncio gives up by itself
        sends = [asyncio.create_task(bus.send(subject, bytes(900_000))) for _ in range(16)]
        while not beneath.get_write_buffer_size():  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)
        await bus.client._process_op_err(nats.errors.StaleConnectionError())  # as after pings without an answer
        while not bus.connected or port_of(bus) == port:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)
        done, _ = await asyncio.wait(sends)
        assert len(done) == 16
        assert port_of(bus) in {*cluster.ports} - {port}


async def test_a_server_that_ends_the_handshake_is_tried_again(alone: Deployed) -> None:
    """If a server hangs up during the handshake, the client tries again and reaches one that does not."""
    met = asyncio.Event()

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        met.set()

    async with asyncio.timeout(DEADLINE), alone.connect("scorer") as bus:
        alone.kill(0)
        rude = await asyncio.start_server(hang_up, "127.0.0.1", alone.ports[0])
        await met.wait()
        rude.close()
        alone.start(0)
        while not bus.connected:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)
        assert bus.client.stats["reconnects"] == 1
