"""Server configuration with every user in one account, as version 0.2.0 wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.core.bus.roles import User
from services.core.bus.server_accounts import accounts, server_accounts


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
            "authorization": {"users": [user for block in blocks.values() for user in block.get("users", ())]},
        }
    )


def flat_users_file(accounts_file: str) -> str:
    """Return the older users file that servers included, with the users of an accounts file."""
    blocks = json.loads(accounts_file.partition("accounts: ")[2])
    users = [user for block in blocks.values() for user in block.get("users", ())]
    return f"authorization: {json.dumps({'users': users}, indent=2)}\n"
