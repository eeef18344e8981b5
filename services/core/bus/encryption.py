"""The TLS of a connection to the bus, from the files that settings name (docs/design.md §5.2)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from services.core.errors import SettingsError
from services.core.network import trusting


@dataclass(frozen=True, slots=True)
class BusEncryption:
    """PEM files for TLS with the bus.

    ``authorities`` may issue the bus's certificate; if empty, those of the system may. ``certificate`` and ``key`` are
    for a bus that requires a client certificate, else empty.
    """

    authorities: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies the bus's certificate and name. Raises SettingsError when a file is unusable."""
        if bool(self.certificate) != bool(self.key):
            raise SettingsError("a certificate for the bus needs its key: give both --nats-certificate and --nats-key")
        try:
            context = trusting(self.authorities)
        except (OSError, ValueError) as error:
            raise SettingsError(f"--nats-ca {self.authorities} cannot be read as PEM certificates: {error}") from error
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"--nats-certificate {self.certificate} with --nats-key {self.key} cannot be used: {error}"
                ) from error
        return context
