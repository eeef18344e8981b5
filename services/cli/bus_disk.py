"""Limits the disk space of streams, and finds a nats-server that stopped writing when its disk was full."""

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

_ROOM_BYTES = 64 << 20  # of free space from which on a restart is worthwhile
_HEALTH_SECONDS = 10.0  # between two checks of the server: longer than a process counts as young


def storage_for(store: Path, held: int) -> int:
    """Return the bytes that streams of ``held`` bytes may take: these and half of the free space, up to the default."""
    return min(DEFAULT_STORAGE, held + shutil.disk_usage(store).free // 2)


def write_error(health: str, store: Path) -> str:
    """Return why the nats-server with /healthz at HOST:PORT refuses messages although the disk of ``store`` has room.

    Empty when there is no such reason. A stream that met a full disk refuses every message until the server restarts; a
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
    """Return whether a server accepts clients; a starting one has JetStream first."""
    try:
        port = json.loads(fetch_local(health, "/varz", timeout=5))["port"]
        with socket.create_connection((parse_address(health)[0], port), timeout=5):
            return True
    except (OSError, ValueError, KeyError):
        return False


async def keep_writable(health: str, store: Path, restart: Callable[[], None]) -> None:
    """Call ``restart`` whenever the server refuses messages after its disk was full."""
    while True:
        await asyncio.sleep(_HEALTH_SECONDS)
        if await asyncio.to_thread(write_error, health, store):
            restart()
