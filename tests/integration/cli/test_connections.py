"""Connections of commands to the bus and to components on this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.cli import connections
from services.core.bus.roles import write_users
from services.core.errors import BusError
from services.core.settings import Settings
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE


async def test_a_missing_bus_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command prints a notice while it waits for the bus, and fails when its patience ends."""
    monkeypatch.setattr(connections, "_NOTICE_SECONDS", 0.05)
    write_users(tmp_path)
    settings = Settings(nats=f"nats://127.0.0.1:{free_port()}", credentials=tmp_path)
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(BusError, match=rf"nothing answered as a bus at {settings.nats} within 1 s: start it"):
            async with connections.open_bus(settings, role="dump", name="dump", patience=1.0):
                pytest.fail("there is no bus")
    assert capsys.readouterr().err == f"waiting for the bus at {settings.nats}\n"


async def test_a_name_that_cannot_be_resolved_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The notice and the error name the host, and not the other server, which is only away."""
    monkeypatch.setattr(connections, "_NOTICE_SECONDS", 0.5)
    write_users(tmp_path)
    host = f"{'a' * 64}.example"  # a label may have 63 characters, so no name server needs to be asked
    settings = Settings(nats=f"nats://{host}:4222,nats://127.0.0.1:{free_port()}", credentials=tmp_path)
    unresolved = f", and {host} cannot be resolved: check the name and the name servers"
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(BusError) as missing:
            async with connections.open_bus(settings, role="dump", name="dump", patience=1.0):
                pytest.fail("there is no bus")
    assert str(missing.value) == (
        f"nothing answered as a bus at {settings.nats} within 1 s{unresolved}, or name another with --nats"
    )
    assert capsys.readouterr().err == f"waiting for the bus at {settings.nats}{unresolved}\n"


def test_loopback_is_requested_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is not used for loopback; an error status raises OSError."""

    class Known(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), Known) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            address = f"127.0.0.1:{server.server_port}"
            assert connections.fetch_local(address, "/health", timeout=DEADLINE) == b"/health"
            with pytest.raises(OSError, match="503"):
                connections.fetch_local(address, "/other", timeout=DEADLINE)
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize("answer", [b"INFO {}\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_half_an_answer_is_none(answer: bytes) -> None:
    """A server that speaks no HTTP, or ends in the middle of its answer, raises OSError like one that is not there."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve)
        serving.start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(OSError, match=f"{address} gave no whole answer"):
            connections.fetch_local(address, "/metrics", timeout=DEADLINE)
        serving.join()
