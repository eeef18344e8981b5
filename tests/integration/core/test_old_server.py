"""A bus that is too old is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from services.core.bus import connect
from services.core.bus.roles import write_users
from services.core.errors import BusError


async def _old_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet a client as Debian's nats-server does, and answer its PING."""
    writer.write(b"INFO " + json.dumps({"version": "2.10.27", "max_payload": 1 << 20, "nonce": "n"}).encode() + b"\r\n")
    while line := await reader.readline():
        if line.strip() == b"PING":
            writer.write(b"PONG\r\n")
    writer.close()


async def test_a_server_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """A component that finds a server that is too old ends with one sentence, before it asks for anything."""
    write_users(tmp_path)
    server = await asyncio.start_server(_old_server, "127.0.0.1", 0)
    url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(BusError) as refused:
        async with connect(url, role="scorer", credentials=tmp_path, name="test"):
            pytest.fail("it was not refused")
    assert str(refused.value) == f"the bus at {url} is nats-server 2.10.27: install 2.12 or newer"
    server.close()
