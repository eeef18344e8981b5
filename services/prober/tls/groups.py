"""Which key exchange OpenSSL offers first. It reads that when a process starts, so the process begins anew with it.

Python 3.11 can give a TLS context one group or all, not an order, and a context with one group does not reach servers
that lack it. OpenSSL's own configuration has the order, and applies to every context.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from services.core.errors import SettingsError
from services.core.settings import Settings, load_settings

__all__ = ["restart_environment", "restart_with_groups"]

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
    """Begin this process anew where the settings want another order than it started with; else do nothing."""
    try:
        wanted = restart_environment(load_settings("prober", argv, os.environ), os.environ)
    except SettingsError:
        return  # whoever runs the component says so
    if wanted is not None:
        os.execve(sys.executable, [sys.executable, "-m", "services.prober", *argv], wanted)  # noqa: S606 - ourselves


def restart_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str] | None:
    """Return the variables to begin anew with, None when there is no need to.

    A configuration that OpenSSL was given already is left alone. Raises SettingsError when ours cannot be written.
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
