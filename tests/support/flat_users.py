"""A nats-server's configuration with every user in one account, as Peyvand wrote it before each user had its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.core.bus.roles import User
from services.core.bus.server_accounts import accounts, server_accounts

__all__ = ["flat_configuration"]


def flat_configuration(*, port: int, store: Path, users: Mapping[str, User], vantage: str = "main") -> str:
    """Return the configuration of a server on loopback whose users share the global account."""
    everyone = [(account, users[account.role]) for account in accounts([vantage], ["xroad"])]
    blocks: dict[str, Any] = server_accounts(everyone)
    return json.dumps(
        {
            "server_name": "peyvand",
            "host": "127.0.0.1",
            "port": port,
            "jetstream": {"store_dir": str(store), "sync_interval": "always"},
            "authorization": {"users": [user for block in blocks.values() for user in block["users"]]},
        }
    )
