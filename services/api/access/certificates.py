"""Loads the TLS files of the server: its certificate and key, and the authorities of its callers.

The files are read again when they change, so that a renewed certificate needs no restart.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import grpc

from services.core.errors import SettingsError, reason_of
from services.core.settings import Settings
from services.core.watched_files import WatchedFiles

_LOOK_SECONDS = 1.0
"""How long a change of the files may go unnoticed; a flood of handshakes looks at them no more often."""


def credentials_from_settings(settings: Settings, failed: Callable[[Exception], None]) -> grpc.ServerCredentials | None:
    """Return the credentials of a server, None where nothing is to be encrypted. Raises SettingsError.

    ``failed`` is called when changed files are unusable; the old ones then stay in use.
    """
    if bool(settings.certificate) != bool(settings.key):
        raise SettingsError("the api's certificate needs its key: give both --certificate and --key")
    if not settings.certificate:
        if settings.client_ca or settings.clients or settings.client_crl:
            raise SettingsError(
                "--client-ca, --clients and --client-crl need --certificate and --key: roles come by certificate"
            )
        return None
    files = [Path(name) for name in (settings.certificate, settings.key, settings.client_ca) if name]
    watched = WatchedFiles(files, lambda: _read(*files), interval=_LOOK_SECONDS, failed=failed)
    try:
        current = watched.get()
    except OSError as error:
        raise SettingsError(f"the api's certificates cannot be read: {reason_of(error)}") from error

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal current
        before, current = current, watched.get()
        return None if current is before else current

    return grpc.dynamic_ssl_server_credentials(
        current,
        changed,  # type: ignore[arg-type]  # None for no change is missing in its types
        require_client_authentication=bool(settings.client_ca),
    )


def _read(certificate: Path, key: Path, client_ca: Path | None = None) -> grpc.ServerCertificateConfiguration:
    # gRPC takes any text for a certificate and fails at the first handshake; Python's reader reports what is wrong.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--certificate {certificate} with --key {key} cannot be used: {error}") from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise SettingsError(f"--client-ca {client_ca} cannot be used: {error}") from error
    authority = None if client_ca is None else client_ca.read_bytes()
    return grpc.ssl_server_certificate_configuration([(key.read_bytes(), certificate.read_bytes())], authority)
