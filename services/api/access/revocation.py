"""Tells which certificates are revoked, by revocation lists that are read again when their file changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Any, cast

from cryptography import x509

from services.core.errors import SettingsError, reason_of
from services.core.settings import Settings
from services.core.watched_files import WatchedFiles

_LOOK_SECONDS = 5.0
"""How long a change of the file may go unnoticed."""

_ANSWERS_KEPT = 1024
"""How many answers are cached by certificate, since searching a long list takes milliseconds."""

_END = b"-----END X509 CRL-----"


def revocations_from_settings(settings: Settings, failed: Callable[[Exception], None]) -> Revocations | None:
    """Return the revocation lists, None where none are named. Raises SettingsError; see Revocations for ``failed``."""
    if not settings.client_crl:
        return None
    if not settings.client_ca:
        raise SettingsError("--client-crl needs --client-ca: without it callers show no certificate")
    return Revocations(Path(settings.client_crl), Path(settings.client_ca), failed)


class Revocations:
    """The revocation lists of a file in PEM, each signed by one of the certificates in ``authorities``.

    An outdated list stays in force: its certificates are revoked. Raises SettingsError when the files cannot be used.
    When they change to files that cannot be used, ``failed`` is called and the old lists stay in force.
    """

    def __init__(self, file: Path, authorities: Path, failed: Callable[[Exception], None]) -> None:
        self._lists = WatchedFiles(
            [file, authorities], lambda: _Lists(_read(file, authorities)), interval=_LOOK_SECONDS, failed=failed
        )
        try:
            self._lists.get()
        except OSError as error:
            raise SettingsError(f"--client-crl {file} cannot be read: {reason_of(error)}") from error

    def revoked(self, pem: bytes) -> bool:
        """Return whether a certificate in PEM was revoked."""
        return self._lists.get().revoked(pem)

    def end(self) -> float:
        """Return when the first list expires, in epoch seconds; infinity when no list says."""
        return self._lists.get().end


class _Lists:
    def __init__(self, lists: Sequence[x509.CertificateRevocationList]) -> None:
        self._lists = lists
        self.revoked = lru_cache(_ANSWERS_KEPT)(self._search)
        self.end = min(inf if one.next_update_utc is None else one.next_update_utc.timestamp() for one in lists)

    def _search(self, pem: bytes) -> bool:
        certificate = x509.load_pem_x509_certificate(pem)
        return any(
            one.issuer == certificate.issuer
            and one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
            for one in self._lists
        )


def _read(file: Path, authorities: Path) -> list[x509.CertificateRevocationList]:
    content = file.read_bytes()
    try:
        issuers = x509.load_pem_x509_certificates(authorities.read_bytes())
        lists = [x509.load_pem_x509_crl(part + _END) for part in content.split(_END)[:-1]]
    except ValueError as error:
        raise SettingsError(f"--client-crl {file} cannot be used: {error}") from error
    if not lists:
        raise SettingsError(f"--client-crl {file} cannot be used: it holds no X509 CRL in PEM")
    for one in lists:
        if not any(issuer.subject == one.issuer and _signed(one, issuer) for issuer in issuers):
            raise SettingsError(
                f"--client-crl {file} cannot be used: the list of {one.issuer.rfc4514_string()} is signed by no authority "
                "in --client-ca"
            )
    return lists


def _signed(one: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return one.is_signature_valid(cast(Any, issuer.public_key()))
    except (TypeError, ValueError):  # a key of a kind that signs no lists
        return False
