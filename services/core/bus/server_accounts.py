"""The servers' accounts: one holds JetStream, and each user has one of its own (docs/design.md §5.2, ADR 60).

A server publishes answers itself, bound by no user's permissions, on whatever subject a request names. A user's account
therefore shares only the subjects that it imports with JetStream's account, and answers stay in the account that asked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.core.bus.names import stored_subject
from services.core.bus.roles import ROLES, Permissions, User, inbox_prefix, permissions

JETSTREAM_ACCOUNT = "BUS"
"""The account that holds every stream and bucket, and the administrator's user."""

_SYSTEM_ACCOUNT = "$SYS"
"""The account in which servers answer for themselves, under its default name: another one would need a restart.

It has no user.
"""

_ANSWER_SECONDS = 10
"""How long a server remembers where an answer goes: twice the longest wait of our clients."""

_LIMITS = {"max_connections": 100, "max_subscriptions": 1000}
"""Limits of one user's seed on a server: connections, shared by the probers of a vantage or by the apis, and
subscriptions of each connection. A component has one connection and fewer than ten subscriptions.
"""

_BATCH = "$JS.API.DIRECT.GET."
_OF_SERVERS = "$SYS."

_NOBODY = "peyvand.v1.nobody"
"""A subject that nobody serves. A server gives an account without JetStream its own JetStream API, which would answer
every request as well, unless the account imports another service under the name of that API.
"""


@dataclass(frozen=True, slots=True)
class Account:
    """One account: its name, its role, and the permissions of its user."""

    name: str
    role: str
    permissions: Permissions

    def seed_path(self, folder: Path) -> Path:
        """Return the file of the seed."""
        return folder / self.name / f"{self.role}.nk"

    def previous_path(self, folder: Path) -> Path:
        """Return the file of the previous seed, which exists while the seed is being replaced."""
        return folder / self.name / f"{self.role}.nk.before"


def accounts(vantages: Sequence[str], buses: Sequence[str]) -> tuple[Account, ...]:
    """Return all accounts of a bus with these vantages and data buses."""
    found: list[Account] = []
    for role in ROLES:
        if role == "prober":
            found += [Account(f"prober-{name}", role, permissions(name, "")[role]) for name in vantages]
        elif role == "collector":
            found += [Account(f"collector-{name}", role, permissions("", name)[role]) for name in buses]
        else:
            found.append(Account(role, role, permissions("", "")[role]))
    return tuple(found)


def server_accounts(users: Iterable[tuple[Account, User]]) -> dict[str, object]:
    """Return ``accounts`` of the servers' configuration. ``users`` names an account once for each of its users."""
    entries: dict[Account, list[Mapping[str, object]]] = defaultdict(list)
    for account, user in users:
        entries[account].append(_user_entry(account, user))
    others = [account for account in entries if account.role != "admin"]
    admins = [entry for account in entries if account.role == "admin" for entry in entries[account]]
    return {
        JETSTREAM_ACCOUNT: {"jetstream": "enabled", "users": admins, "exports": _exports(others, JETSTREAM_ACCOUNT)},
        _SYSTEM_ACCOUNT: {"exports": _exports(others, _SYSTEM_ACCOUNT)},
        **{
            account.name: {"users": entries[account], "imports": _imports(account), "limits": _LIMITS}
            for account in others
        },
    }


def accounts_file(users: Iterable[tuple[Account, User]]) -> str:
    """Return the file that deploy/nats/*.conf include. It holds no secret."""
    block = json.dumps(server_accounts(users), indent=2)
    return f"# Made by `peyvand bus users`; edits here are lost.\naccounts: {block}\n"


def _user_entry(account: Account, user: User) -> Mapping[str, object]:
    """Return one user with the permissions of its role and its own inbox."""
    allowed = account.permissions
    return {
        "nkey": user.public_key,
        "permissions": {
            "publish": {"allow": list(allowed.publish)},
            "subscribe": {"allow": [f"{inbox_prefix(user.public_key)}.>", *allowed.subscribe]},
        },
    }


def _imports(account: Account) -> list[Mapping[str, object]]:
    """Import each subject under its own name; messages stored under a subject are announced on another one."""
    shadow = {"service": _from_holder(_NOBODY), "to": "$JS.API.INFO"}
    requests = [{"service": _from_holder(subject)} for subject in account.permissions.requests]
    changes = [
        {"stream": _from_holder(stored_subject(subject)), "to": subject} for subject in account.permissions.changes
    ]
    return [shadow, *requests, *changes]


def _from_holder(subject: str) -> dict[str, str]:
    return {"account": _holder_of(subject), "subject": subject}


def _holder_of(subject: str) -> str:
    """Return the account in which a subject is answered, or announced."""
    return _SYSTEM_ACCOUNT if subject.startswith(_OF_SERVERS) else JETSTREAM_ACCOUNT


def _exports(accounts: Sequence[Account], holder: str) -> list[Mapping[str, object]]:
    """Export each subject that ``holder`` answers or announces to the accounts that import it, and to no other."""
    importers = defaultdict(list, {("service", _NOBODY): [account.name for account in accounts]})
    for account in accounts:
        for subject in account.permissions.requests:
            importers["service", subject].append(account.name)
        for subject in account.permissions.changes:
            importers["stream", stored_subject(subject)].append(account.name)
    return [
        {kind: subject, "accounts": names, **(_answers(subject) if kind == "service" else {})}
        for (kind, subject), names in importers.items()
        if _holder_of(subject) == holder
    ]


def _answers(subject: str) -> Mapping[str, object]:
    """Return how a request is answered: with one message or several.

    Reading a stream from a sequence on is answered with a batch of messages, and a request to servers by each server of
    a cluster.
    """
    several = subject.startswith(_OF_SERVERS) or (
        subject.startswith(_BATCH) and "." not in subject.removeprefix(_BATCH)
    )
    return {"response_type": "stream" if several else "singleton", "response_threshold": f"{_ANSWER_SECONDS}s"}
