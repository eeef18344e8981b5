"""Makes the sandbox's own certificate authority, and the good and bad TLS servers that it signs.

The authority's key stays beside its certificate (``ca.key``, readable by its owner only), so that probers that have read
``ca.pem`` still trust a restarted sandbox. Servers' keys are not kept: OpenSSL reads them from a file only, so each is in
a temporary file for a moment.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.core import files
from services.core.errors import StateError

CA = "ca.pem"
"""The certificate of the sandbox's authority, beside the register directory."""

_KEY = "ca.key"
_YEAR = timedelta(days=365)
_SKEW = timedelta(hours=1)
_ELSEWHERE = "127.99.99.99"


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates of servers, valid around ``now``."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    now: datetime

    def context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        """Return the context of a TLS server for these IP addresses, signed by the authority."""
        key = _new_key()
        certificate = _sign(hosts, key, self, self.now - _SKEW, self.now + _YEAR)
        return _context(certificate, key)


def open_authority(directory: Path, now: datetime) -> Authority:
    """Read the authority in ``directory``, or create one there when there is none or it expires within a month.

    Raises StateError when its files cannot be read or written.
    """
    try:
        stored = _read(directory)
        if stored and stored[1].not_valid_after_utc > now + timedelta(days=30):
            return Authority(*stored, now)
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
        (directory / _KEY).unlink(missing_ok=True)
        files.write_secret(directory / _KEY, _key_pem(key))
        files.replace(directory / CA, certificate.public_bytes(Encoding.PEM))
    except OSError as error:
        raise StateError(
            f"the sandbox's authority in {directory} cannot be read or written: {error.strerror}; choose another --data"
        ) from error
    return Authority(key, certificate, now)


def untrusted_contexts(authority: Authority, hosts: Sequence[str]) -> tuple[ssl.SSLContext, ...]:
    """Return the contexts of TLS servers that clients must reject: expired, of another name, self-signed."""
    now = authority.now
    key = _new_key()
    return (
        _context(_sign(hosts, key, authority, now - _YEAR, now - timedelta(days=1)), key),
        authority.context([_ELSEWHERE]),
        _context(_sign(hosts, key, None, now - _SKEW, now + _YEAR), key),
    )


def _read(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
    """Return the key and certificate stored there; None when there are none that belong together."""
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
    hosts: Sequence[str], key: ec.EllipticCurvePrivateKey, authority: Authority | None, start: datetime, end: datetime
) -> x509.Certificate:
    """Sign a server's certificate with the authority's key, or with its own."""
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
    context.num_tickets = 0  # probes never resume a connection
    with NamedTemporaryFile(suffix=".pem") as file:  # only its owner may read it
        file.write(_key_pem(key) + certificate.public_bytes(Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
