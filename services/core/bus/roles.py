"""Roles on the bus: nkey users with least privilege (docs/design.md §5.2).

Only admin may create a JetStream consumer: with one, a user could have messages delivered to subjects on which it may not
publish. Everything is therefore read by direct get, and each user has its own inbox prefix, made of its public key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nkeys

from services.core.bus import names
from services.core.errors import SettingsError
from services.core.files import write_secret

ROLES = ("admin", "register", "prober", "collector", "scorer", "archive", "api", "dump")


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects of one user, besides its own inbox.

    ``requests`` go to JetStream, which answers them; ``changes`` are published by other users; ``peers`` are exchanged
    with clients of the same account.
    """

    requests: tuple[str, ...]
    changes: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()

    @property
    def publish(self) -> tuple[str, ...]:
        """Subjects that the user may publish on."""
        return tuple(dict.fromkeys((*self.requests, *self.peers)))

    @property
    def subscribe(self) -> tuple[str, ...]:
        """Subjects that the user may subscribe to."""
        return (*self.changes, *self.peers)


@dataclass(frozen=True, slots=True)
class User:
    """One nkey user: its public key identifies it; its seed is secret and never logged."""

    role: str
    public_key: str
    seed: str

    def __repr__(self) -> str:
        return f"User(role={self.role!r}, public_key={self.public_key!r})"


def _get(*streams: str) -> tuple[str, ...]:
    """Return the subjects of direct get, by sequence and by last subject."""
    return tuple(f"$JS.API.DIRECT.GET.{stream}{tail}" for stream in streams for tail in ("", ".>"))


def _info(*streams: str) -> tuple[str, ...]:
    return tuple(f"$JS.API.STREAM.INFO.{stream}" for stream in streams)


def _get_from_leader(stream: str) -> str:
    return f"$JS.API.STREAM.MSG.GET.{stream}"


def permissions(vantage: str, bus: str) -> Mapping[str, Permissions]:
    """Return the permissions of each role; the prober's are for one vantage, the collector's for one data bus."""
    register = names.kv_stream(names.REGISTER_BUCKET)
    indicator = names.kv_stream(names.INDICATOR_BUCKET)
    register_changes = names.kv_subject(names.REGISTER_BUCKET, ">")
    streams = (names.MEASUREMENTS, names.EXCHANGES, names.INDICATORS, names.FINDINGS)
    # By number, not by a wildcard: the server keeps all subjects of a stream in memory, so invented ones would fill it.
    measurements = (names.measurement_subject(vantage, shard) for shard in range(names.SHARDS))
    exchanges = (names.exchange_subject(bus, shard) for shard in range(names.SHARDS))
    return {
        "admin": Permissions(("$JS.API.>", "$JS.SNAPSHOT.>")),  # the second for backup and restore
        "register": Permissions(
            # Only the leader knows for certain what is stored, and so what must be published again.
            (register_changes, *_get(register), _get_from_leader(register), *_info(register)),
            (register_changes,),
        ),
        "prober": Permissions(
            (*measurements, *_get(register)),
            (register_changes,),
            # Measurements show which other probers are working (docs/adr/0064-peers-count-while-they-measure.md).
            (names.heartbeat_subject(vantage, "*"), names.measurement_subject(vantage, "*")),
        ),
        "collector": Permissions((*exchanges, *_get(register)), (register_changes,)),
        "scorer": Permissions(
            (
                names.kv_subject(names.INDICATOR_BUCKET, ">"),
                names.indicator_subject("*", "*", "*"),
                names.finding_subject("*", "*"),
                *_get(register, *streams, indicator),  # it resumes from its own publications
                _get_from_leader(indicator),  # and removes parts that no value names
                *_info(*streams, register, indicator),  # it exposes their sizes on /metrics
                names.SERVERS_SUBJECT,  # and whether servers sync
            ),
            (register_changes,),
        ),
        "archive": Permissions((*_get(register, *streams), *_info(*streams)), (register_changes,)),
        "api": Permissions(
            _get(register, indicator, names.INDICATORS),
            (register_changes, names.kv_subject(names.INDICATOR_BUCKET, ">")),
        ),
        "dump": Permissions((*_get(*streams), *_info(*streams))),
    }


def inbox_prefix(public_key: str) -> str:
    """Return the inbox prefix of one user."""
    return f"_INBOX.{public_key}"


def _seed_path(credentials: Path, role: str) -> Path:
    return credentials / f"{role}.nk"


def load_user(credentials: Path, role: str) -> User:
    """Read a role's seed from ``<credentials>/<role>.nk``. Raises SettingsError when it is missing or unusable."""
    return read_user(_seed_path(credentials, role), role)


def read_user(path: Path, role: str) -> User:
    """Read the seed of a user in ``role`` from a file. Raises SettingsError when it is missing or unusable."""
    try:
        seed = path.read_text("ascii").strip()
        pair = nkeys.from_seed(bytearray(seed.encode()))
    except FileNotFoundError as error:
        raise SettingsError(
            f"the credential of role {role} is missing at {path}: name the right folder with --credentials"
        ) from error
    except OSError as error:
        raise SettingsError(f"the credential of role {role} at {path} cannot be read: {error.strerror}") from error
    except (ValueError, nkeys.NkeysError) as error:
        raise SettingsError(
            f"the credential of role {role} at {path} is no nkey seed: "
            "remove it, and `peyvand bus users` or `peyvand up` makes another"
        ) from error
    return User(role, pair.public_key.decode(), seed)


def write_seed(path: Path) -> None:
    """Create the seed of a new user, readable by its owner only."""
    write_secret(path, bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)) + b"\n")


def write_users(credentials: Path) -> dict[str, User]:
    """Create missing seeds in the folder ``credentials`` (files 0600, folder 0700); return all users by role."""
    credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role in ROLES:
        path = _seed_path(credentials, role)
        if not path.exists():
            write_seed(path)
    return {role: load_user(credentials, role) for role in ROLES}
