"""The configuration of nats-server: its binary and users, for `peyvand up` and for a bus that several hosts share.

The accounts of a shared bus are a folder of seeds. ``<folder>/<account>/`` is the credentials folder of the process
that uses the account, and holds ``<role>.nk``. Each vantage has an account for its probers, and each data bus has one
for its collector. Every other role has one account, named after the role. While a seed is being replaced, the previous
one stays beside it (``<role>.nk.before``) and the server accepts both.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.core.bus.roles import User, read_user, write_seed
from services.core.bus.server_accounts import JETSTREAM_ACCOUNT, Account, accounts, server_accounts
from services.core.errors import SettingsError
from services.core.files import replace, sync


def write_seeds(folder: Path, members: Iterable[Account]) -> tuple[str, ...]:
    """Create missing seeds (files 0600, folders 0700); return the names of their accounts."""
    created = []
    for account in members:
        path = account.seed_path(folder)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            write_seed(path)
            created.append(account.name)
    return tuple(created)


def replace_seed(folder: Path, members: Iterable[Account], name: str) -> None:
    """Replace the seed of an account, keeping the previous one until `retire_seeds`.

    Raises SettingsError when there is no such account, or its seed is already being replaced.
    """
    by_name = {account.name: account for account in members}
    if name not in by_name:
        raise SettingsError(f"there is no user {name!r}: it is one of {', '.join(by_name)}")
    path, previous = by_name[name].seed_path(folder), by_name[name].previous_path(folder)
    if previous.exists():
        raise SettingsError(f"the seed of {name} is being replaced already: end that first with --retire")
    if path.exists():
        path.rename(previous)
    write_seed(path)


def retire_seeds(folder: Path, members: Sequence[Account]) -> tuple[str, ...]:
    """Remove every previous seed; return the names of their accounts.

    Raises SettingsError, and removes none, when the present seed of an account is missing or unusable.
    """
    for account in members:
        read_user(account.seed_path(folder), account.role)
    retired = []
    for account in members:
        previous = account.previous_path(folder)
        if previous.exists():
            previous.unlink()
            retired.append(account.name)
    return tuple(retired)


def read_users(folder: Path, members: Iterable[Account]) -> Iterator[tuple[Account, User]]:
    """Yield each account with its user, and again with the user of its previous seed, if any. Raises SettingsError."""
    for account in members:
        yield account, read_user(account.seed_path(folder), account.role)
        if (previous := account.previous_path(folder)).exists():
            yield account, read_user(previous, account.role)


LEAST_VERSION: Final = (2, 12)
"""The first nats-server with batches that are stored whole or not at all, which writers of buckets use."""

_VERSION_SECONDS: Final = 10.0


def find_server() -> str:
    """Return the path of nats-server on PATH, else of the one in the wheel.

    Raises SettingsError when there is neither, or it is too old.
    """
    beside_python = Path(sys.executable).parent / "nats-server"
    path = shutil.which("nats-server") or (str(beside_python) if beside_python.exists() else None)
    if path is None:
        raise SettingsError("nats-server is neither on PATH nor installed beside Python: run `make setup`")
    try:
        command = [path, "--version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"{path} does not say its version: {error}") from error
    if reason := too_old(said):
        raise SettingsError(f"{path} {reason}; or take it off PATH, and the one that `make setup` installs is used")
    return path


def too_old(version: str) -> str:
    """Return why a server of this version cannot be used; "" if it can, or if its version is unknown."""
    said = version_of(version)
    if not said or said >= LEAST_VERSION:
        return ""
    return f"is nats-server {'.'.join(map(str, said))}: install {LEAST_VERSION[0]}.{LEAST_VERSION[1]} or newer"


def version_of(text: str) -> tuple[int, ...]:
    """Return the first version found in a text; () if there is none."""
    found = re.search(r"[1-9]\d*(\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def server_configuration(
    *, host: str, port: int, store: Path, users: Mapping[str, User], vantage: str, bus: str, health: str = ""
) -> str:
    """Return the server's configuration: JetStream on disk, synced at every write, and one account per role.

    ``health`` is HOST:PORT of the server's /healthz; if empty, there is no /healthz.
    """
    members = [(account, users[account.role]) for account in accounts([vantage], [bus])]
    # Each stream has its own limit. The server's default limit is three quarters of the space that is free at startup.
    jetstream = {"store_dir": str(store), "sync_interval": "always", "max_file_store": 1 << 40}
    return json.dumps(
        {
            "server_name": "peyvand",
            "host": host,
            "port": port,
            **({"http": health} if health else {}),
            "jetstream": jetstream,
            "accounts": server_accounts(members),
        },
        indent=2,
    )


def write_configuration(path: Path, text: str) -> None:
    """Write the configuration as a whole; create its folder if it is missing.

    The server may read it at any time, so an older one stays until then; its owner and its mode remain.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        path.write_text(text, "utf-8")  # such as /dev/stdout, which cannot be replaced
        return
    path = path.resolve()  # a link stays a link
    replace(path, text.encode(), like=path.stat() if path.exists() else None)
    sync(path.parent)


def adopt_streams(store: Path) -> None:
    """Move the streams that version 0.2.0 kept in the server's global account to JetStream's account."""
    earlier, present = (store / "jetstream" / account for account in ("$G", JETSTREAM_ACCOUNT))
    if earlier.is_dir() and not present.exists():
        earlier.rename(present)
