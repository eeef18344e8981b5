"""Streams move whole from a bus with one shared account to a bus with one account per user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from services.core.bus import StreamState
from services.core.bus.names import (
    INDICATOR_BUCKET,
    LATER_STREAMS,
    MEASUREMENTS,
    REGISTER_BUCKET,
    STREAMS,
    measurement_subject,
)
from services.core.bus.roles import write_users
from services.core.bus.server import adopt_streams, server_configuration, write_configuration
from services.core.errors import BusError
from tests.support.doc_blocks import block
from tests.support.flat_users import flat_configuration, flat_users_file
from tests.support.forked_command import forked_peyvand
from tests.support.nats import Nats
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.servers.deployed_nats import Deployed, initialised
from tests.support.waiting import DEADLINE, answered

_STORE = "/var/lib/peyvand/nats"
MESSAGES = 200
LARGE = bytes(2_500_000)


@contextmanager
def _flat_servers(folder: Path, config: str, nodes: int) -> Iterator[Deployed]:
    """Run servers of deploy/nats whose users share an account."""
    folder.mkdir()
    servers = Deployed(folder, config, nodes)
    servers.users_conf.write_text(flat_users_file(servers.users_conf.read_text("utf-8")), "utf-8")
    try:
        _start(servers)
        yield servers
    finally:
        _stop(servers)


def _start(servers: Deployed) -> None:
    servers.take_users()
    for node in range(servers.nodes):
        servers.start(node)


def _stop(servers: Deployed) -> None:
    for node in tuple(servers.running):
        servers.kill(node)


def _follow(servers: Deployed, name: str) -> None:
    """Run a block of a page: its commands in a shell, but those of systemctl by their effect. A line about a server's
    folder is run once for each server. Owners and the unchanged nats.conf are left out.
    """
    acts = {"stop": _stop, "start": _start, "reload": Deployed.reload}
    assignments = ""
    for line in block(name).text.splitlines():
        if line.startswith("systemctl "):
            acts[line.split()[1]](servers)
        elif line.startswith("admin="):
            assignments = f"{line}\n"
        elif not line.startswith(("chown ", "install ")):
            nodes = range(servers.nodes if _STORE in line else 1)
            for node in nodes:
                _run(servers, assignments + line.replace(_STORE, str(servers.store(node))))


def _run(servers: Deployed, text: str) -> None:
    for written, meant in {
        "/opt/peyvand/.venv/bin/peyvand": str(forked_peyvand()),
        "/etc/peyvand": str(servers.secrets),
    }.items():
        text = text.replace(written, meant)
    text = text.replace("/backup/", f"{servers.folder}/")
    environ = {
        **servers.environ,
        "OWNER": str(os.getuid()),
        "PATH": f"{forked_peyvand().parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stderr}"


async def _filled(servers: Nats | Deployed, prober: str, *, replicas: int) -> Mapping[str, StreamState]:
    """Create the streams of version 0.2.0 and store something of every kind; return the streams' states."""
    async with servers.connect("admin") as admin:
        await initialised(admin, replicas=replicas)
        for name in LATER_STREAMS:
            await admin.jetstream.delete_stream(name)
    async with servers.connect("scorer") as scorer, servers.connect("register") as register:
        connection = servers.connect(prober) if isinstance(servers, Nats) else servers.connect(prober, "prober")
        async with connection as bus:
            for number in range(MESSAGES):
                subject = measurement_subject("north", number % 16)
                await answered(partial(bus.publish, subject, b"%d" % number, message_id=str(number)))
        await answered(partial(register.kv_put, REGISTER_BUCKET, "current", b"register"))
        await answered(partial(scorer.kv_put, INDICATOR_BUCKET, "government", LARGE))
        return {
            name: await answered(partial(scorer.stream_state, name)) for name in STREAMS if name not in LATER_STREAMS
        }


async def _assert_whole(servers: Nats | Deployed, before: Mapping[str, StreamState], prober: str) -> None:
    """Assert that every stream has its old messages and accepts new ones."""
    async with servers.connect("scorer") as scorer, servers.connect("api") as api:
        for name, state in before.items():
            now = await answered(partial(scorer.stream_state, name))
            assert (name, now.first, now.last, now.messages) == (name, state.first, state.last, state.messages)
        messages = await answered(partial(scorer.read, MEASUREMENTS, 1))
        assert [message.data for message in messages] == [b"%d" % number for number in range(MESSAGES)]
        assert await answered(partial(api.kv_get, REGISTER_BUCKET, "current")) == b"register"
        assert await answered(partial(api.kv_get, INDICATOR_BUCKET, "government")) == LARGE
        connection = servers.connect(prober) if isinstance(servers, Nats) else servers.connect(prober, "prober")
        async with connection as bus:
            subject = measurement_subject("north", 0)
            assert await answered(partial(bus.publish, subject, b"x", message_id="new")) == MESSAGES + 1


async def test_an_embedded_server_adopts_its_streams(tmp_path: Path) -> None:
    """`peyvand up` finds its streams again with their old creation times, and adopts nothing a second time."""
    server = Nats(tmp_path / "nats", free_port())
    users, store = write_users(server.credentials), tmp_path / "nats" / "store"
    config = tmp_path / "nats" / "nats.conf"
    write_configuration(config, flat_configuration(port=server.port, store=store, users=users, vantage="north"))
    try:
        server.start()
        before = await _filled(server, "prober", replicas=1)
        server.kill()
        text = server_configuration(
            host="127.0.0.1", port=server.port, store=store, users=users, vantage="north", bus="xroad"
        )
        write_configuration(config, text)
        for _ in range(2):
            adopt_streams(store)
        server.start()
        await _assert_whole(server, before, "prober")
        async with server.connect("scorer") as scorer:
            assert (await scorer.stream_state(MEASUREMENTS)).created == before[MEASUREMENTS].created
    finally:
        server.kill()


async def test_a_single_server_is_upgraded_by_the_guide(tmp_path: Path) -> None:
    """After the commands of docs/operating.md a server by deploy/nats/alone.conf has every stream and its creation
    time.
    """
    with _flat_servers(tmp_path / "alone", "alone.conf", 1) as servers:
        before = await _filled(servers, "prober-north", replicas=1)
        _follow(servers, "docs/operating.md: From 0.2.0 1")
        await _assert_whole(servers, before, "prober-north")
        async with servers.connect("scorer") as scorer:
            assert (await scorer.stream_state(MEASUREMENTS)).created == before[MEASUREMENTS].created


@pytest.mark.slow
async def test_a_cluster_is_upgraded_by_the_guide(tmp_path: Path) -> None:
    """Only admin is admitted while streams are backed up and restored, and afterwards nothing is missing."""
    with _flat_servers(tmp_path / "cluster", "cluster.conf", 3) as servers:
        before = await _filled(servers, "prober-north", replicas=3)
        _follow(servers, "docs/operating.md: From 0.2.0 2")
        with pytest.raises(BusError, match="refuses the credential"):
            async with servers.connect("scorer"):
                pass
        _follow(servers, "docs/operating.md: From 0.2.0 3")
        _follow(servers, "docs/operating.md: From 0.2.0 4")
        _start(servers)
        _follow(servers, "docs/operating.md: From 0.2.0 5")
        servers.reload()
        await _assert_whole(servers, before, "prober-north")
