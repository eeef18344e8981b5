"""Nobody stops the bus for good by filling its disk: a seed fills its own stream, and a full disk is recovered from."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from services.cli import bus_disk
from services.core.bus import Bus, initialise_streams
from services.core.bus.names import (
    MEASUREMENTS,
    REGISTER_BUCKET,
    exchange_subject,
    indicator_subject,
    kv_subject,
    measurement_subject,
)
from services.core.errors import BusError
from tests.support.forked import run
from tests.support.limits.small_disk import fill, small_disk
from tests.support.nats import Nats
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.servers.deployed_nats import deployed, initialised
from tests.support.waiting import DEADLINE, answered, eventually

_DISK_MIB = 160
_MESSAGE = bytes(500_000)
_LITTLE = 8 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk that ends with the test."""
    with small_disk(tmp_path / "disk", _DISK_MIB) as folder:
        yield folder


@pytest.fixture
def server(disk: Path, tmp_path: Path) -> Iterator[Nats]:
    """An embedded server with its streams on a small disk."""
    server = Nats(tmp_path / "nats", free_port(), store=disk / "store", health=f"127.0.0.1:{free_port()}")
    server.configure()
    server.start()
    yield server
    server.kill()


async def _until_refused(bus: Bus, subject: str) -> int:
    """Publish until a message is refused; return how many were acknowledged."""
    for count in range(10_000):
        try:
            await bus.publish(subject, _MESSAGE, message_id="", timeout=2)
        except BusError:
            return count
    raise AssertionError("the disk takes everything")


async def _filled(server: Nats, disk: Path) -> tuple[int, Path]:
    """Fill the disk and a stream on it; return how many measurements were acknowledged, and the ballast."""
    async with server.connect("admin") as admin:
        await initialise_streams(admin)
    ballast = fill(disk, left=_LITTLE)
    count = 0
    async with server.connect("prober") as prober:
        while shutil.disk_usage(disk).free >= len(_MESSAGE):  # a busy server may also not answer in time
            count += await _until_refused(prober, measurement_subject("main", 0))
    return count, ballast


async def _acknowledged_again(server: Nats, count: int) -> None:
    """Assert that acknowledged messages are stored and that more are accepted."""
    async with asyncio.timeout(DEADLINE):
        async with server.connect("prober") as prober:
            await answered(
                partial(prober.publish, measurement_subject("main", 0), b"more", message_id="more", timeout=2)
            )
        async with server.connect("scorer") as scorer:
            assert (await scorer.stream_state(MEASUREMENTS)).messages >= count + 1


async def test_a_stream_that_met_a_full_disk_refuses_messages_when_there_is_room(server: Nats, disk: Path) -> None:
    """The reason for all below: a stream stays refused after the disk has room, and says so where it is asked for its health."""
    count, ballast = await _filled(server, disk)
    assert bus_disk.write_error(server.health, server.store) == ""  # there is no room: a restart would not help
    ballast.unlink()
    async with server.connect("prober") as prober:
        assert await _until_refused(prober, measurement_subject("main", 0)) == 0
    assert "no space left on device" in bus_disk.write_error(server.health, server.store)
    assert await asyncio.to_thread(_stuck, server) == 0
    server.kill()
    server.start()
    await _acknowledged_again(server, count)
    assert await asyncio.to_thread(_stuck, server) == 1


def _stuck(server: Nats) -> int:
    """Return the exit code of `peyvand bus stuck`."""
    return run("services.cli", "bus", "stuck", "--health", server.health, "--store", server.store).returncode


async def test_peyvand_up_starts_the_server_again(server: Nats, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `peyvand up` runs beside its server has it started again once there is room, and not before."""
    monkeypatch.setattr(bus_disk, "_HEALTH_SECONDS", 0.1)
    count, ballast = await _filled(server, disk)
    starts = looks = 0
    look = bus_disk.write_error

    def counted(health: str, store: Path) -> str:
        nonlocal looks
        looks += 1
        return look(health, store)

    monkeypatch.setattr(bus_disk, "write_error", counted)

    def restart() -> None:
        nonlocal starts
        assert not ballast.exists()
        starts += 1
        server.kill()
        server.start()

    keeper = asyncio.create_task(bus_disk.keep_writable(server.health, server.store, restart))
    try:
        await eventually(lambda: looks > 3, "it looks, and waits for room")
        ballast.unlink()
        await eventually(lambda: starts, "the server is started again")
        await _acknowledged_again(server, count)
        assert starts == 1
    finally:
        keeper.cancel()


async def test_a_container_ends_its_server(server: Nats, disk: Path) -> None:
    """The health check of deploy/compose.yaml ends a server that refuses messages, once there is room."""
    assert server.process is not None
    check = _health_check(disk / "bin", server.process.pid, server.store, server.health, server.port)
    await eventually(lambda: check()[0] == 0, "the server is well")
    _, ballast = await _filled(server, disk)
    assert "write error" in check()[1]
    assert server.process.poll() is None
    ballast.unlink()
    assert check()[0] == 1
    assert server.process.wait(DEADLINE) is not None


async def test_a_server_of_a_cluster_is_started_again(disk: Path, tmp_path: Path) -> None:
    """A server whose disk was full takes part in no stream of its cluster; once there is room it is ended, and takes part again."""
    (tmp_path / "cluster" / "node-0").mkdir(parents=True)
    (tmp_path / "cluster" / "node-0" / "store").symlink_to(disk)
    with deployed(tmp_path / "cluster", "cluster.conf", 3) as cluster:
        health, node = cluster.health[0], cluster.running[0]
        check = _health_check(disk / "bin", node.pid, disk, health, cluster.ports[0])
        async with asyncio.timeout(2 * DEADLINE), cluster.connect("admin") as admin:
            await initialised(admin, replicas=3)
            await eventually(lambda: check()[0] == 0, "the server is well")
            ballast = fill(disk, left=_LITTLE)
            async with cluster.connect("prober-south", "prober") as prober:
                subject = measurement_subject("south", 0)

                async def stopped() -> bool:
                    with suppress(BusError):
                        await prober.publish(subject, _MESSAGE, message_id="", timeout=2)
                    return "JetStream not enabled" in check()[1]

                await eventually(stopped, "the server is out of resources")
                assert bus_disk.write_error(health, disk) == ""  # there is no room
                assert node.poll() is None
                ballast.unlink()
                assert "JetStream not enabled" in bus_disk.write_error(health, disk)
                assert check()[0] == 1
                assert node.wait(DEADLINE) is not None
                cluster.running.pop(0)
                cluster.start(0)
                check = _health_check(disk / "bin", cluster.running[0].pid, disk, health, cluster.ports[0])
                await eventually(lambda: check()[0] == 0, "it takes part again")


def _health_check(tools: Path, pid: int, store: Path, health: str, port: int) -> Callable[[], tuple[int, str]]:
    """Return a run of deploy/nats/health.sh with the shell of its image: its exit code and what it says."""
    shell = program("busybox", "busybox")
    if not tools.exists():
        tools.mkdir()
        for name in ("sh", "nc", "df", "awk", "kill", "tail", "printf"):
            (tools / name).symlink_to(shell)
    environ = {
        "PATH": str(tools),
        "NATS_PID": str(pid),
        "NATS_STORE": str(store),
        "NATS_HEALTH": health.replace(":", " "),
        "NATS_CLIENT": f"127.0.0.1 {port}",
    }

    def check() -> tuple[int, str]:
        command = [str(tools / "sh"), str(ROOT / "deploy" / "nats" / "health.sh")]
        done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True, timeout=DEADLINE)
        return done.returncode, done.stdout

    return check


async def test_a_seed_fills_its_own_stream_alone(nats: Nats) -> None:
    """A prober that publishes without end is refused at the limit of its stream: the disk is not full, and others go on."""
    limit = 40 << 20
    async with nats.connect("admin") as admin:
        for stream in await admin.jetstream.streams_info():
            await admin.jetstream.delete_stream(str(stream.config.name))
        limits = await initialise_streams(admin, storage=limit)
    async with nats.connect("prober") as prober:
        assert await _until_refused(prober, measurement_subject("main", 0)) <= limits[MEASUREMENTS] // len(_MESSAGE)
        with pytest.raises(BusError, match="maximum bytes exceeded"):
            await prober.publish(measurement_subject("main", 1), _MESSAGE, message_id="")
    for role, subject in {
        "collector": exchange_subject("xroad", 0),
        "scorer": indicator_subject("government", "country", 28),
        "register": kv_subject(REGISTER_BUCKET, "current"),
    }.items():
        async with nats.connect(role) as bus:
            await bus.publish(subject, b"x", message_id="")
    used = sum(path.stat().st_size for path in (nats.folder / "store").rglob("*") if path.is_file())
    assert used < limit
