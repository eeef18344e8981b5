"""The bus's URLs, and TLS to it (docs/design.md §5.2: TLS between hosts)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BusEncryption:
    """PEM files: the authorities that may issue the bus's certificate (the system's when empty), and a client certificate
    with its key for a bus that requires one (none when empty).
    """

    authorities: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies the bus's certificate and name. Raises SettingsError when a file is unusable."""
        if bool(self.certificate) != bool(self.key):
            raise SettingsError("a certificate for the bus needs its key: give both --nats-certificate and --nats-key")
        try:
            context = ssl.create_default_context(cafile=self.authorities or None)
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


def parse_urls(urls: str) -> list[str]:
    """Return the URLs of the bus's servers, separated by commas in ``urls``. Raises SettingsError for other schemes."""
    addresses = [url.strip() for url in urls.split(",") if url.strip()]
    schemes = {urlsplit(url).scheme for url in addresses}
    if not addresses or not schemes <= {"nats", "tls"}:
        raise SettingsError(f"--nats {urls!r} must be nats://HOST:PORT or tls://HOST:PORT, several separated by commas")
    if len(schemes) > 1:
        raise SettingsError(f"--nats {urls!r} mixes nats:// and tls://: either all servers are encrypted or none is")
    return addresses


def is_encrypted(urls: str) -> bool:
    """Whether these URLs require TLS. The handshake then comes first, so that nobody on the way can strip it."""
    return urls.strip().startswith("tls://")
