"""The users of a bus that several hosts share: a folder with one user's seed each, and the server's list of them all.

``<folder>/<user>/<role>.nk`` is what the process of that user is given as its credentials folder. A prober's user is that
of a vantage, a collector's that of a data bus; the other roles are users by their own name. While a seed is being
replaced, the one before stays beside it (``<role>.nk.before``) and the server admits both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.core.bus.roles import ROLES, Permissions, User, inbox_prefix, permissions, read_user, write_seed
from services.core.errors import SettingsError

__all__ = [
    "Account",
    "accounts",
    "authorization_file",
    "read_users",
    "replace_seed",
    "retire_seeds",
    "user_entry",
    "write_seeds",
]

_BEFORE = ".before"


@dataclass(frozen=True, slots=True)
class Account:
    """One user to be: its name, its role, what it may do."""

    name: str
    role: str
    allowed: Permissions


def accounts(vantages: Sequence[str], buses: Sequence[str]) -> tuple[Account, ...]:
    """Everyone whom a bus with these vantages and data buses admits."""
    found: list[Account] = []
    for role in ROLES:
        if role == "prober":
            found += [Account(f"prober-{name}", role, permissions(name, "")[role]) for name in vantages]
        elif role == "collector":
            found += [Account(f"collector-{name}", role, permissions("", name)[role]) for name in buses]
        else:
            found.append(Account(role, role, permissions("", "")[role]))
    return tuple(found)


def _path(folder: Path, seat: Account) -> Path:
    return folder / seat.name / f"{seat.role}.nk"


def write_seeds(folder: Path, everyone: Iterable[Account]) -> tuple[str, ...]:
    """Make the seeds that are missing (0600, in folders 0700); return the names of their users."""
    made = []
    for seat in everyone:
        path = _path(folder, seat)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            write_seed(path)
            made.append(seat.name)
    return tuple(made)


def replace_seed(folder: Path, everyone: Iterable[Account], name: str) -> None:
    """Give a user a new seed and keep the one before until `retire_seeds`. Raises SettingsError when that is not to be."""
    chosen = {seat.name: seat for seat in everyone}
    if name not in chosen:
        raise SettingsError(f"there is no user {name!r}: it is one of {', '.join(chosen)}")
    path = _path(folder, chosen[name])
    before = path.with_name(path.name + _BEFORE)
    if before.exists():
        raise SettingsError(f"the seed of {name} is being replaced already: end that first with --retire")
    if path.exists():
        path.rename(before)
    write_seed(path)


def retire_seeds(folder: Path, everyone: Iterable[Account]) -> tuple[str, ...]:
    """Remove every seed that was replaced; return the names of their users."""
    retired = []
    for seat in everyone:
        path = _path(folder, seat)
        before = path.with_name(path.name + _BEFORE)
        if before.exists():
            before.unlink()
            retired.append(seat.name)
    return tuple(retired)


def read_users(folder: Path, everyone: Iterable[Account]) -> Iterator[tuple[User, Permissions]]:
    """Every user of the folder with what it may do, twice while its seed is being replaced. Raises SettingsError."""
    for seat in everyone:
        path = _path(folder, seat)
        yield read_user(path, seat.role), seat.allowed
        before = path.with_name(path.name + _BEFORE)
        if before.exists():
            yield read_user(before, seat.role), seat.allowed


def user_entry(user: User, allowed: Permissions) -> Mapping[str, object]:
    """What the server's configuration says of one user; its own inbox comes on top of its role's subjects."""
    return {
        "nkey": user.public_key,
        "permissions": {
            "publish": {"allow": list(allowed.publish)},
            "subscribe": {"allow": [f"{inbox_prefix(user.public_key)}.>", *allowed.subscribe]},
        },
    }


def authorization_file(users: Iterable[tuple[User, Permissions]]) -> str:
    """The file that deploy/nats/*.conf include. It holds no secret."""
    block = {"users": [user_entry(user, allowed) for user, allowed in users]}
    return f"# Made by `peyvand bus users`; edits here are lost.\nauthorization: {json.dumps(block, indent=2)}\n"
