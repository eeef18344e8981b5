"""The nats-server that `peyvand up` runs: its binary and its configuration."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from services.core.bus.roles import User, permissions
from services.core.bus.users import user_entry
from services.core.errors import SettingsError


def find_server() -> str:
    """Return nats-server on PATH, else that of the wheel. Raises SettingsError when there is neither."""
    beside_python = Path(sys.executable).parent / "nats-server"
    path = shutil.which("nats-server") or (str(beside_python) if beside_python.exists() else None)
    if path is None:
        raise SettingsError("nats-server is neither on PATH nor installed beside Python: run `make setup`")
    return path


def server_configuration(
    *, host: str, port: int, store: Path, users: Mapping[str, User], vantage: str, bus: str
) -> str:
    """Return the server's configuration: JetStream on disk, synced at every write, and one user per role."""
    allowed = permissions(vantage, bus)
    return json.dumps(
        {
            "server_name": "peyvand",
            "host": host,
            "port": port,
            "jetstream": {"store_dir": str(store), "sync_interval": "always"},
            "authorization": {"users": [user_entry(user, allowed[role]) for role, user in users.items()]},
        },
        indent=2,
    )


def write_configuration(path: Path, text: str) -> None:
    """Write the configuration, and the folder that it stands in if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
