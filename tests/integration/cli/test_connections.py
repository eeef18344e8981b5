"""Connections of commands to the bus and to components on this machine."""

from __future__ import annotations

import asyncio
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
