"""The disk of nats-server: how much of it streams may take, and the end of a server that a full one has stopped."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

from services.cli.connections import fetch_local
from services.core.bus import DEFAULT_STORAGE
from services.core.settings import parse_address

_ROOM_BYTES = 64 << 20  # of a disk on which a server is worth starting again
_HEALTH_SECONDS = 10.0  # between two looks at the server: longer than a process counts as young


def storage_for(store: Path, held: int) -> int:
    """Return the bytes that streams may take which hold some: these and half of what is free, but no more than is enough."""
    return min(DEFAULT_STORAGE, held + shutil.disk_usage(store).free // 2)


def write_error(health: str, store: Path) -> str:
    """Return why the nats-server with /healthz at HOST:PORT refuses messages although the disk of ``store`` has room.

    Empty when there is no such reason. A stream that met a full disk refuses every message until the server starts again; a
    server of a cluster takes part in no stream until then.
    """
    try:
        fetch_local(health, "/healthz", timeout=5)
    except HTTPError as answer:
        with answer:
            reason = answer.read().decode("utf-8", "replace")
        stopped = "write error" in reason or ("JetStream not enabled" in reason and _takes_clients(health))
        return reason if stopped and shutil.disk_usage(store).free >= _ROOM_BYTES else ""
    except OSError:
        pass
    return ""


def _takes_clients(health: str) -> bool:
    """Return whether a server takes clients. One that starts has JetStream first."""
    try:
        port = json.loads(fetch_local(health, "/varz", timeout=5))["port"]
        with socket.create_connection((parse_address(health)[0], port), timeout=5):
            return True
    except (OSError, ValueError, KeyError):
        return False


async def keep_writable(health: str, store: Path, restart: Callable[[], None]) -> None:
    """Have a server started again whenever it refuses messages after its disk was full."""
    while True:
        await asyncio.sleep(_HEALTH_SECONDS)
        if await asyncio.to_thread(write_error, health, store):
            restart()
