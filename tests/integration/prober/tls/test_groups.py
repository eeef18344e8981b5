"""The order of key-exchange groups is a setting, and every server is still reached (docs/performance-log.md)."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
import subprocess
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from pathlib import Path

import pytest

from services.core.bus.roles import write_users
from services.core.settings import Settings
from services.prober.tls.groups import restart_environment
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import says, serving

X25519, P256 = 0x1D, 0x17
_CLIENT = """
import asyncio, ssl, sys
from services.prober.tls.contexts import TlsContexts

incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
context = TlsContexts().get(("http/1.1",)).context
tls = context.wrap_bio(incoming, outgoing, server_hostname="tax.example")
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    print(outgoing.read().hex())

async def connect():
    _, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=context)
    print(writer.get_extra_info("ssl_object").version())
    writer.transport.abort()

asyncio.run(connect())
"""


def offered(hello: bytes) -> tuple[list[int], list[int]]:
    """Return the groups a ClientHello supports, in order, and those with a key share (RFC 8446, section 4.1.2)."""
    at = 5 + 4 + 2 + 32  # record, handshake, version, random
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at] + 2
    groups: list[int] = []
    shares: list[int] = []
    while at < len(hello):
        kind, length = struct.unpack(">HH", hello[at : at + 4])
        body = hello[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 10:
            groups = list(struct.unpack(f">{(length - 2) // 2}H", body[2:]))
        elif kind == 51:
            place = 2
            while place < length:
                group, size = struct.unpack(">HH", body[place : place + 4])
                shares.append(group)
                place += 4 + size
    return groups, shares


@pytest.mark.parametrize("curve", ["prime256v1", "X25519"])
async def test_x25519_is_offered_first_and_others_still_reach(tmp_path: Path, curve: str) -> None:
    """With the setting a probe sends a share for X25519 only, and a server that has only another group is reached."""
    wanted = restart_environment(Settings(prefer_x25519=True, data=tmp_path / "state"), _environ())
    assert wanted is not None
    context = Authority.make(tmp_path).context("tax.example")
    context.set_ecdh_curve(curve)
    async with serving(says(), tls=context) as server:
        command = [sys.executable, "-c", _CLIENT, str(server.port)]
        done = await asyncio.to_thread(
            subprocess.run, command, env=wanted, capture_output=True, text=True, check=True, timeout=60
        )
    hello, version = done.stdout.split()
    groups, shares = offered(bytes.fromhex(hello))
    assert (groups[0], shares) == (X25519, [X25519])
    assert P256 in groups
    assert version == "TLSv1.3"


def test_without_the_setting_nothing_changes(tmp_path: Path) -> None:
    """By default, and when OpenSSL was given a configuration already, the process continues as it is."""
    assert restart_environment(Settings(data=tmp_path / "state"), {}) is None
    assert (
        restart_environment(Settings(prefer_x25519=True, data=tmp_path / "state"), {"OPENSSL_CONF": "/own.cnf"}) is None
    )
    assert not (tmp_path / "state").exists()


async def test_a_prober_begins_anew_with_it(tmp_path: Path, port: Callable[[], int]) -> None:
    """With the setting the prober restarts itself under the same process id, with OpenSSL configured for it."""
    write_users(tmp_path / "credentials")
    flags = {"prefer-x25519": "true", "data": tmp_path, "credentials": tmp_path / "credentials"}
    # It waits for a bus that does not come.
    flags |= {"nats": f"nats://127.0.0.1:{port()}", "metrics": f"127.0.0.1:{port()}"}
    command = [sys.executable, "-m", "services.prober"]
    command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(*command, env=_environ(), stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(30):
            while b"OPENSSL_CONF=" not in Path(f"/proc/{process.pid}/environ").read_bytes():
                assert process.returncode is None
                await asyncio.sleep(0.02)
    finally:
        process.kill()
        await process.wait()
    assert "Groups = X25519:" in (tmp_path / "openssl.cnf").read_text()


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "OPENSSL_CONF"}


def test_one_group_alone_would_lose_servers(tmp_path: Path) -> None:
    """Why OpenSSL's configuration is needed: Python 3.11 can only restrict to one group, which some servers lack."""
    server = Authority.make(tmp_path).context("tax.example")
    server.set_ecdh_curve("prime256v1")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_ecdh_curve("X25519")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near, far = client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        near.do_handshake()
    with pytest.raises(ssl.SSLError, match=r"NO_SUITABLE_KEY_SHARE|NO_SHARED_GROUP"):
        far.do_handshake()
