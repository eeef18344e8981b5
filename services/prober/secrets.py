"""Reads secrets by reference, ``env:NAME`` or ``file:PATH``, which are masked everywhere (docs/probing.md §4).

Secrets are read late. The module also defines the errors that are our own fault.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from services.core.bounded_files import read_bounded
from services.core.model import Auth, Probe
from services.core.settings import Settings
from services.core.watched_files import WatchedFiles

RECHECK_SECONDS = 10.0
"""Seconds within which a replaced file of ours is noticed, without reading it for every probe."""


class MissingSecretError(Exception):
    """A credential or file of our own is missing, unreadable or unusable. The message names only the reference."""


@dataclass(frozen=True, slots=True)
class References:
    """What a register may name on this host: files below ``folders``, and variables that begin with ``prefix``.

    The author of a register is not the administrator of this host, so all other files and variables are out of reach.
    """

    folders: tuple[Path, ...]
    prefix: str

    @classmethod
    def of(cls, settings: Settings, *more: Path) -> References:
        """Return the references that the settings allow, and those to files below the folders ``more``."""
        folders = (Path(folder.strip()) for folder in settings.probe_files.split(",") if folder.strip())
        return cls((*folders, *more), settings.probe_variables)

    def read(self, path: Path, limit: int) -> bytes:
        """Return the content of a file of at most ``limit`` bytes. Raises OSError."""
        return read_bounded(path, folders=self.folders, limit=limit)

    def variable(self, name: str) -> str:
        """Return the value of an environment variable. Raises MissingSecretError."""
        if not name.startswith(self.prefix):
            detail = f"the variable {name} may not be named by a register: its name does not begin with {self.prefix}"
            raise MissingSecretError(f"{detail} (setting probe_variables)")
        value = os.environ.get(name)
        if not value:
            raise MissingSecretError(f"the variable {name} that holds a credential is not set")
        return value


ANYTHING: Final = References((Path("/"),), "")
"""No restriction, for processes that probe no register of another author."""

# Tokens and passwords are shorter than 1 KiB.
_SECRET_LIMIT: Final = 64 << 10


class Secrets:
    """Reads secrets, and reads files again when they have changed."""

    def __init__(self, references: References = ANYTHING, clock: Callable[[], float] = monotonic) -> None:
        self._references = references
        self._clock = clock
        self._files: dict[str, WatchedFiles[str]] = {}

    def get(self, reference: str) -> str:
        """Return the secret behind a reference, without a trailing newline. Raises MissingSecretError."""
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self._references.variable(name)
        if kind != "file":
            raise MissingSecretError("a credential is not given by reference (env:NAME or file:PATH)")
        watched = self._files.get(name)
        if watched is None:
            path = Path(name)
            watched = self._files[name] = WatchedFiles(
                (path,),
                lambda: self._references.read(path, _SECRET_LIMIT).decode("utf-8").rstrip("\r\n"),
                interval=RECHECK_SECONDS,
                clock=self._clock,
            )
        try:
            value = watched.get()
        except OSError as error:
            raise MissingSecretError(
                f"the file {name} that holds a credential cannot be read: {error.strerror}"
            ) from error
        except UnicodeDecodeError as error:
            raise MissingSecretError(f"the file {name} that holds a credential is not UTF-8") from error
        if not value:
            raise MissingSecretError(f"the file {name} that holds a credential is empty")
        return value


def secret_references(definition: Probe) -> Iterator[str]:
    """Return the references to the secrets that a definition's targets are built with, including those of its steps.

    The secret of an OAuth2 client is not among them, because it is read when a token is requested.
    """
    auth = definition.auth
    yield from filter(None, (auth.password, auth.token, auth.key, definition.proxy.password))
    for step in definition.steps:
        yield from secret_references(step.probe)


def credential_header(auth: Auth, secrets: Secrets) -> tuple[str, str]:
    """Return name and value of the header that authenticates a probe; no name without auth (docs/probing.md §4).

    The value is empty for oauth2, because its token is requested when it is needed. Raises MissingSecretError.
    """
    if auth.kind == "none":
        return "", ""
    if auth.kind == "api_key":
        return auth.header, _header_value(auth.key, secrets)
    if auth.kind == "basic":
        return "Authorization", basic_credentials(auth.username, secrets.get(auth.password))
    if auth.kind == "bearer":
        return "Authorization", f"Bearer {_header_value(auth.token, secrets)}"
    if auth.kind == "oauth2":
        return "Authorization", ""
    raise ValueError(f"auth kind {auth.kind} is unknown")


def basic_credentials(username: str, password: str) -> str:
    """Return the credentials of the Basic scheme, as a header holds them (RFC 7617)."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def _header_value(reference: str, secrets: Secrets) -> str:
    """Return a secret that is sent unchanged in a header. Raises MissingSecretError."""
    secret = secrets.get(reference)
    if not all(" " <= character <= "~" for character in secret):
        raise MissingSecretError(f"the credential {reference} cannot be sent: it holds more than printable ASCII")
    return secret


class UnusableError(ValueError):
    """A definition cannot be probed as it is: our own fault. The message is shown, so it holds no values."""
