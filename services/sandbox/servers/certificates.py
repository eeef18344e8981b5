"""The sandbox's own certificate authority, and the good and bad TLS servers made with it.

The authority's key stays beside its certificate (``ca.key``, readable by its owner only), so that a sandbox started
again is still trusted by probers that read ``ca.pem`` before. Servers' keys are never kept: OpenSSL takes them from a
file only, so each passes through one that is gone at once.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.core.errors import StateError
from services.sandbox.directory.register_files import CA

__all__ = ["Authority", "bad_contexts", "open_authority"]

_KEY = "ca.key"
_YEAR = timedelta(days=365)
_SKEW = timedelta(hours=1)
_ELSEWHERE = "127.99.99.99"


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates of servers. ``now`` is the moment its certificates are valid around."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    now: datetime

    def context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        """Make a TLS server for these IP addresses, trusted by whoever trusts the authority."""
        key = _new_key()
        certificate = _sign(hosts, key, self, self.now - _SKEW, self.now + _YEAR)
        return _context(certificate, key)


def open_authority(directory: Path, now: datetime) -> Authority:
    """Read the authority kept in ``directory``, or found one there when there is none or it ends within a month.

    StateError when its files cannot be read or written.
    """
    try:
        kept = _read(directory)
        if kept and kept[1].not_valid_after_utc > now + timedelta(days=30):
            return Authority(*kept, now)
        key = _new_key()
        name = _name("Peyvand sandbox authority")
        builder = _builder(name, name, key, now - _SKEW, now + 2 * _YEAR)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _keep(directory / _KEY, _key_pem(key), 0o600)
        _keep(directory / CA, certificate.public_bytes(Encoding.PEM), 0o644)
    except OSError as error:
        raise StateError(f"the sandbox's authority in {directory} cannot be kept: {error.strerror}") from error
    return Authority(key, certificate, now)


def bad_contexts(authority: Authority, hosts: Sequence[str]) -> tuple[ssl.SSLContext, ...]:
    """Make TLS servers that nobody should accept: expired, of another name, self-signed."""
    now = authority.now
    key = _new_key()
    return (
        _context(_sign(hosts, key, authority, now - _YEAR, now - timedelta(days=1)), key),
        authority.context([_ELSEWHERE]),
        _context(_sign(hosts, key, None, now - _SKEW, now + _YEAR), key),
    )


def _read(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
    """Return the pair kept there; None when there is none, or none that belongs together."""
    try:
        key = load_pem_private_key((directory / _KEY).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((directory / CA).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key():
        return key, certificate
    return None


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=end,
    )


def _sign(
    hosts: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    authority: Authority | None,
    start: datetime,
    end: datetime,
) -> x509.Certificate:
    """Sign a server's certificate by the authority, or by its own key."""
    name = _name(f"sandbox server {hosts[0]}")
    signer = authority.key if authority else key
    issuer = authority.certificate.subject if authority else name
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host)) for host in hosts])
    return (
        _builder(name, issuer, key, start, end)
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _context(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # every probe makes a connection of its own and never resumes one
    descriptor, path = tempfile.mkstemp(suffix=".pem")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_key_pem(key) + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()
    return context


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _keep(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is whole or not there, never readable by more than ``mode`` says."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)
