"""Where the bus is, and how a connection to it is encrypted (docs/design.md §5.2: TLS between hosts)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.core.errors import SettingsError

__all__ = ["BusEncryption", "is_encrypted", "parse_urls"]


@dataclass(frozen=True, slots=True)
class BusEncryption:
    """PEM files: the authorities that the bus's certificate must come from (the system's when empty), and the
    certificate and key shown to the bus where it asks for them (none when empty).
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
    """URLs of the bus's servers from one text, separated by commas. Raises SettingsError when one is none of ours."""
    found = [url.strip() for url in urls.split(",") if url.strip()]
    schemes = {urlsplit(url).scheme for url in found}
    if not found or not schemes <= {"nats", "tls"}:
        raise SettingsError(f"--nats {urls!r} must be nats://HOST:PORT or tls://HOST:PORT, several separated by commas")
    if len(schemes) > 1:
        raise SettingsError(f"--nats {urls!r} mixes nats:// and tls://: either all servers are encrypted or none is")
    return found


def is_encrypted(urls: str) -> bool:
    """Whether these URLs ask for encryption. It then comes first of all, so that nobody on the way can talk it away."""
    return urls.strip().startswith("tls://")
