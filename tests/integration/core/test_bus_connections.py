"""Connections to the bus: refused, given up, left for another server and ended."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nats.errors import StaleConnectionError

from services.core.bus import connect
from services.core.bus.names import (
    INDICATOR_BUCKET,
    indicator_subject,
)
from services.core.bus.roles import load_user, write_users
from services.core.bus.server import server_configuration, write_configuration
from services.core.bus.topology import initialise_streams
from services.core.errors import BusError, SettingsError
from tests.support.nats import Nats, port_of
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE


async def test_a_foreign_seed_is_refused(nats, tmp_path: Path) -> None:
    """A credential the server does not know ends in one clear sentence."""
    write_users(tmp_path / "foreign")
    with pytest.raises(BusError, match="refuses the credential of role api"):
        async with connect(nats.url, role="api", credentials=tmp_path / "foreign", name="foreign"):
            pass


async def test_giving_up_leaves_no_connection_behind(nats) -> None:
    """Giving up on a server that accepts a connection but stays silent closes the connection."""
    hung_up = asyncio.get_running_loop().create_future()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        patience.reschedule(0.0)
        hung_up.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            async with (
                asyncio.timeout(DEADLINE) as patience,
                connect(f"nats://127.0.0.1:{port}", role="api", credentials=nats.credentials, name="test"),
            ):
                pytest.fail("nobody answered")
        async with asyncio.timeout(DEADLINE):
            assert await hung_up == b""


async def test_a_failed_reconnection_is_hung_up(nats) -> None:
    """A connection that the server ends during the handshake is closed, and the next attempt succeeds."""
    hung_up = asyncio.get_running_loop().create_future()

    async def end_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await reader.read()
        writer.close()
        if not hung_up.done():
            hung_up.set_result(True)

    async with asyncio.timeout(DEADLINE), nats.connect("api") as bus:
        nats.kill()
        async with await asyncio.start_server(end_at_once, "127.0.0.1", nats.port):
            assert await hung_up
        nats.start()
        while not bus.connected:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)


async def test_an_outage_does_not_fill_the_log(nats, capsys: pytest.CaptureFixture[str]) -> None:
    """However often a connection fails for a reason, the log says so once."""
    tried = 0
    often = asyncio.Event()

    async def end_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        tried += 1
        if tried == 8:
            often.set()
        writer.close()

    async with asyncio.timeout(DEADLINE), nats.connect("api"):
        nats.kill()
        capsys.readouterr()
        async with await asyncio.start_server(end_at_once, "127.0.0.1", nats.port):
            await often.wait()
    reasons = re.findall(r"bus_error.*?reason=(.*)", capsys.readouterr().out)
    assert reasons
    assert len(reasons) == len(set(reasons))


async def test_a_log_names_the_host_that_cannot_be_resolved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A component that waits for its bus logs the name that cannot be resolved, not what Python calls it."""
    write_users(tmp_path)
    host, found = f"{'a' * 64}.example", asyncio.Event()  # a label may have 63 characters, so no name server is asked

    async def wait() -> None:
        urls = f"nats://{host}:4222"
        async with connect(urls, role="api", credentials=tmp_path, name="test", on_unresolved=lambda _: found.set()):
            pytest.fail("there is no bus")

    waiting = asyncio.create_task(wait())
    async with asyncio.timeout(DEADLINE):
        await found.wait()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert f"{host} cannot be resolved: check the name and the name servers" in capsys.readouterr().out


async def test_an_address_waits_for_no_thread(nats) -> None:
    """A client connects to an address although every thread is busy. Names are looked up in threads."""
    loop, done = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, done.wait, DEADLINE)
    try:
        async with asyncio.timeout(DEADLINE / 2), nats.connect("api"):
            assert not busy.done()
    finally:
        done.set()
        await busy


async def test_a_silent_name_server_is_told_from_a_silent_bus(
    nats, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While no name server answers, the log says that the name cannot be resolved; once one does, the client connects.

    All attempts wait for one lookup, in a thread for which a process does not wait when it ends.
    """
    answered, look_up, found = threading.Event(), socket.getaddrinfo, list[str]()
    silent: list[threading.Thread] = []

    def resolve(_: object, *arguments: Any, **options: Any) -> Any:
        if not answered.is_set():
            silent.append(threading.current_thread())
            answered.wait(DEADLINE)
        return look_up("127.0.0.1", *arguments, **options)

    def unresolved(host: str) -> None:
        found.append(host)
        if len(found) == 2:
            answered.set()

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"nats://bus.example:{nats.port}"
    try:
        async with asyncio.timeout(DEADLINE):
            async with connect(url, role="api", credentials=nats.credentials, name="test", on_unresolved=unresolved):
                assert found == ["bus.example"] * 2
                assert [thread.daemon for thread in silent] == [True]
    finally:
        answered.set()
    assert "bus.example cannot be resolved: check the name and the name servers" in capsys.readouterr().out


async def test_a_silent_server_is_left_for_another(nats, tmp_path: Path) -> None:
    """With more unsent data than a stopped server accepts, the client switches to the other server and publishes there."""
    other = Nats(tmp_path / "other", free_port())
    text = server_configuration(
        host="127.0.0.1", port=other.port, store=other.folder / "store", users=write_users(nats.credentials),
        vantage="main", bus="xroad",
    )  # fmt: skip
    write_configuration(other.folder / "nats.conf", text)
    other.start()
    try:
        async with asyncio.timeout(DEADLINE):
            async with connect(other.url, role="admin", credentials=nats.credentials, name="test") as admin:
                await initialise_streams(admin)
            urls = f"{nats.url},{other.url}"
            async with connect(urls, role="scorer", credentials=nats.credentials, name="test") as bus:
                silent = await _stand_still(bus, {server.port: server for server in (nats, other)})
                while not bus.connected or port_of(bus) == silent.port:  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0.05)
                await bus.kv_put(INDICATOR_BUCKET, "government", b"x")
                assert await bus.kv_get(INDICATOR_BUCKET, "government") == b"x"
    finally:
        other.kill()


async def _stand_still(bus, servers: dict[int, Nats]) -> Nats:
    """Stop the connected server while it still has data to receive; the client notices by its pings."""
    silent = servers[bus.client.connected_url.port]
    silent.pause()
    puts = [asyncio.create_task(bus.kv_put(INDICATOR_BUCKET, f"slot.a.{n}", bytes(900_000))) for n in range(16)]
    while not bus.client._transport._io_writer.transport.get_write_buffer_size():  # noqa: ASYNC110  # no event
        await asyncio.sleep(0.01)
    await bus.client._process_op_err(StaleConnectionError())
    for put in puts:
        put.cancel()
    await asyncio.wait(puts)
    return silent


def test_a_missing_seed_names_its_path(tmp_path: Path) -> None:
    """The error names the missing file and the flag for the folder."""
    with pytest.raises(SettingsError, match=re.escape(f"missing at {tmp_path / 'api.nk'}")):
        load_user(tmp_path, "api")


def test_seeds_are_private_and_never_shown(tmp_path: Path) -> None:
    """Seeds are 0600 and absent from repr."""
    users = write_users(tmp_path / "credentials")
    for role, user in users.items():
        assert (tmp_path / "credentials" / f"{role}.nk").stat().st_mode & 0o777 == 0o600
        assert user.seed not in repr(user)
    assert write_users(tmp_path / "credentials") == users


async def test_ending_without_a_server_is_no_failure(nats) -> None:
    """Closing while the server is gone reports the unsent messages and nothing else."""
    async with nats.connect("scorer") as bus:
        nats.kill()
        async with asyncio.timeout(DEADLINE):
            while bus.connected:  # noqa: ASYNC110  # the library beneath has no event for it
                await asyncio.sleep(0.01)
        subject = indicator_subject("service", "title-deed", 7)
        with pytest.raises(BusError, match="not acknowledged"):
            await bus.publish(subject, bytes(1000), message_id="1", timeout=0.5)
