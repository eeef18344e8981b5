"""TLS of the api: its certificate, and the authority of those that callers must show.

Files are read again when they change, so that a renewed certificate needs no restart.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from services.core.errors import SettingsError
from services.core.settings import Settings
from services.core.watched_files import WatchedFiles

__all__ = ["TlsFiles", "credentials_from_settings"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the api's chain and its key; ``client_ca`` of callers that must show a certificate, None for none."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self, failed: Callable[[SettingsError], None]) -> grpc.ServerCredentials:
        """Return the credentials of a server. Raises SettingsError when a file is unusable.

        ``failed`` is called when changed files are unusable; the ones before then stay in use.
        """
        files = [self.certificate, self.key, *([] if self.client_ca is None else [self.client_ca])]
        watched = WatchedFiles(files, self._read)

        def read() -> grpc.ServerCertificateConfiguration:
            try:
                return watched.get()
            except OSError as error:
                raise SettingsError(f"the api's certificates cannot be read: {error}") from error

        current = read()

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal current
            try:
                latest = read()
            except SettingsError as error:
                failed(error)
                return None
            if latest is current:
                return None
            current = latest
            return latest

        return grpc.dynamic_ssl_server_credentials(
            current,
            changed,  # type: ignore[arg-type]  # None for no change is missing in its types
            require_client_authentication=self.client_ca is not None,
        )

    def _read(self) -> grpc.ServerCertificateConfiguration:
        # gRPC takes any text for a certificate and fails at the first handshake; Python's reader reports what is wrong.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"--certificate {self.certificate} with --key {self.key} cannot be used: {error}"
            ) from error
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except (OSError, ValueError) as error:
                raise SettingsError(f"--client-ca {self.client_ca} cannot be used: {error}") from error
        return grpc.ssl_server_certificate_configuration(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            None if self.client_ca is None else self.client_ca.read_bytes(),
        )


def credentials_from_settings(
    settings: Settings, failed: Callable[[SettingsError], None]
) -> grpc.ServerCredentials | None:
    """Return the credentials of a server, None where nothing is to be encrypted. Raises SettingsError."""
    if bool(settings.certificate) != bool(settings.key):
        raise SettingsError("the api's certificate needs its key: give both --certificate and --key")
    if not settings.certificate:
        if settings.client_ca or settings.clients:
            raise SettingsError("--client-ca and --clients need --certificate and --key: roles come by certificate")
        return None
    authority = Path(settings.client_ca) if settings.client_ca else None
    return TlsFiles(Path(settings.certificate), Path(settings.key), authority).credentials(failed)
