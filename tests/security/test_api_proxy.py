"""deploy/haproxy/api.cfg in front of a real api with TLS: it bounds what one address may do, and certificates pass."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import grpc
import grpc.aio
from cryptography import x509

from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import indicator_service_pb2_grpc
from services.api.access.callers import identifier_from_settings
from services.api.access.certificates import credentials_from_settings
from services.core.settings import Settings
from tests.support.cases.api.server import api, empty_api, register, served
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.servers.authority import Authority
from tests.support.waiting import DEADLINE, eventually

__all__ = ["api", "empty_api", "register"]  # the fixtures

CONFIGURATION = (ROOT / "deploy" / "haproxy" / "api.cfg").read_text()
MOST = 20
"""The configuration's limit of connections from one address."""


@asynccontextmanager
async def _proxied(state, folder: Path, authority: Authority) -> AsyncIterator[int]:
    """Run an api that gives the role of an auditor to audit.example, behind the proxy; yield the proxy's port."""
    certificate = authority.server("127.0.0.1")
    (folder / "clients.yaml").write_text("clients: [{dns: audit.example, role: auditor}]")
    settings = Settings(
        certificate=str(certificate),
        key=str(certificate),
        client_ca=authority.reference.removeprefix("file:"),
        clients=str(folder / "clients.yaml"),
    )
    haproxy, port = program("haproxy", "haproxy"), free_port()
    credentials = credentials_from_settings(settings, lambda _: None)
    identify = identifier_from_settings(settings)
    async with served(state, credentials=credentials, identify=identify) as behind:
        text = CONFIGURATION.replace("127.0.0.1:7409", f"127.0.0.1:{behind}").replace(":::7410", f":::{port}")
        (folder / "api.cfg").write_text(text.replace("inspect-delay 5s", "inspect-delay 500ms"))
        process = await asyncio.create_subprocess_exec(haproxy, "-db", "-f", str(folder / "api.cfg"))
        try:
            await eventually(lambda: _connects(port), "the proxy listens")
            yield port
        finally:
            process.kill()
            await process.wait()


def _connects(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


async def _shakes_hands(port: int, source: str) -> bool:
    """Return whether a TLS handshake from an address succeeds."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(source, 0))
    except OSError:
        return False
    writer.close()
    return True


async def test_roles_pass_the_proxy(api, tmp_path):
    """A caller with an auditor's certificate is an auditor behind the proxy too."""
    authority = Authority.make(tmp_path)
    async with _proxied(api.state, tmp_path, authority) as port:
        certificate, key = authority.client(alternatives=[x509.DNSName("audit.example")])
        trusted = Path(authority.reference.removeprefix("file:")).read_bytes()
        credentials = grpc.ssl_channel_credentials(trusted, key.read_bytes(), certificate.read_bytes())
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
            answer = await stub.GetLink(messages.GetLinkRequest(link="deed-tax"), timeout=DEADLINE)
            assert answer.link.link.target


async def test_an_address_has_so_many_connections_and_others_have_theirs(api, tmp_path):
    """Connections beyond the bound are ended at once; meanwhile another address is served."""
    async with _proxied(api.state, tmp_path, Authority.make(tmp_path)) as port:
        with ExitStack() as stack:
            address = ("127.0.0.1", port)
            held = [stack.enter_context(socket.create_connection(address)) for _ in range(2 * MOST)]
            await eventually(lambda: sum(map(_ended, held)) >= MOST, "half are ended")
            assert await _shakes_hands(port, "127.0.0.2")
            # The others are silent too, and are ended before they reach the api.
            await eventually(lambda: all(map(_ended, held)), "all are ended")
        await eventually(lambda: _shakes_hands(port, "127.0.0.1"), "there is room again")
