"""Sets the order in which OpenSSL offers key-exchange groups (docs/adr/0052-order-of-key-exchange-groups.md).

OpenSSL reads its configuration when a process starts, so another order needs a restart. Python 3.11 can restrict a TLS
context to one group but cannot order groups. A context with one group does not reach servers that lack it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from services.core.errors import SettingsError
from services.core.settings import Settings, load_settings

_VARIABLE: Final = "OPENSSL_CONF"
_CONFIGURATION: Final = """\
openssl_conf = modules

[modules]
ssl_conf = tls

[tls]
system_default = groups

[groups]
Groups = X25519:P-256:X448:P-384:P-521
"""


def restart_with_groups(argv: Sequence[str]) -> None:
    """Restart this process if the settings require another order than the one it started with."""
    try:
        environment = restart_environment(load_settings("prober", argv, os.environ), os.environ)
    except SettingsError:
        return  # the component reports it
    if environment is not None:
        os.execve(sys.executable, [sys.executable, "-m", "services.prober", *argv], environment)  # noqa: S606 - ourselves


def restart_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment to restart with, None when no restart is needed.

    A configuration that was already given to OpenSSL is left alone. Raises SettingsError when ours cannot be written.
    """
    if not settings.prefer_x25519 or environ.get(_VARIABLE):
        return None
    path = settings.data / "openssl.cnf"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_CONFIGURATION)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    return {**environ, _VARIABLE: str(path.absolute())}
