"""Certificate authorities for tests, and the certificates that they issue."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from math import isinf
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass
class Authority:
    """A certificate authority."""

    certificate: x509.Certificate
    key: Key
    folder: Path

    @classmethod
    def make(
        cls,
        folder: Path,
        name: str = "Test Authority",
        *,
        key: Key | None = None,
        days: tuple[float, float] = (-10, 3650),
    ) -> Authority:
        key = key or ec.generate_private_key(ec.SECP256R1())
        return cls(_certificate(name, key, None, ca=True, days=days), key, folder)

    @property
    def reference(self) -> str:
        """``file:PATH`` of the authority's certificate."""
        path = self.folder / f"ca-{self.certificate.serial_number}.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return f"file:{path}"

    def below(
        self,
        name: str,
        days: tuple[float, float] = (-1, 365),
        *,
        key: Key | None = None,
        purposes: tuple[x509.ObjectIdentifier, ...] = (),
    ) -> Authority:
        """Issue an intermediate authority, with a new key unless one is given, limited to any ``purposes``."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        return Authority(_certificate(name, key, self, ca=True, days=days, purposes=purposes), key, self.folder)

    def server(
        self,
        *names: str,
        days: tuple[float, float] = (-1, 30),
        chain: tuple[Authority, ...] = (),
        self_signed: bool = False,
        alternatives: bytes = b"",
    ) -> Path:
        """Write a file with a server's key, its certificate for ``names`` and ``chain``, and return its path.

        ``days`` is the validity in days from now. ``alternatives`` is the content of a SubjectAlternativeName, instead
        of names.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = None if self_signed else self
        leaf = _certificate("server", key, issuer, names=names, days=days, alternatives=alternatives)
        path = self.folder / f"{leaf.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + b"".join(c.public_bytes(Encoding.PEM) for c in (leaf, *(link.certificate for link in chain)))
        )
        return path

    def again(self, days: tuple[float, float], issuer: Authority | None = None) -> Authority:
        """Return the same authority, name and key in another certificate, self-signed or signed by an issuer."""
        name = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return Authority(_certificate(str(name), self.key, issuer, ca=True, days=days), self.key, self.folder)

    def context(
        self,
        *names: str,
        days: tuple[float, float] = (-1, 30),
        chain: tuple[Authority, ...] = (),
        self_signed: bool = False,
        alternatives: bytes = b"",
    ) -> ssl.SSLContext:
        """Return a server's TLS context with the certificate that ``server`` makes of these arguments."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = self.server(*names, days=days, chain=chain, self_signed=self_signed, alternatives=alternatives)
        context.load_cert_chain(file)
        return context

    def client(
        self,
        days: tuple[float, float] = (-1, 30),
        chain: tuple[Authority, ...] = (),
        name: str = "client",
        alternatives: Sequence[x509.GeneralName] = (),
    ) -> tuple[Path, Path]:
        """Write files of a client's certificate, with ``chain``, and of its key, and return their paths.

        ``days`` is the validity in days from now, ``name`` the common name.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        own = _certificate(name, key, self, days=days, client_names=alternatives)
        paths = self.folder / f"{name}-{own.serial_number}.pem", self.folder / f"{name}-{own.serial_number}.key"
        paths[0].write_bytes(
            b"".join(c.public_bytes(Encoding.PEM) for c in (own, *(link.certificate for link in chain)))
        )
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def revoking(self, *certificates: Path, days: float = 1) -> bytes:
        """Return a revocation list, in PEM, of the certificates in these files. It must be renewed in ``days`` days."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, now, now + timedelta(days=days))
        for path in certificates:
            serial = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            one = x509.RevokedCertificateBuilder(serial, now).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _day(now: datetime, days: float) -> datetime:
    """Return the moment this many days from now, or the last possible one for infinity."""
    return datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) if isinf(days) else now + timedelta(days=days)


def _certificate(
    name: str,
    key: Key,
    issuer: Authority | None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
    days: tuple[float, float],
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    alternatives: bytes = b"",
    client_names: Sequence[x509.GeneralName] = (),
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_day(now, days[0]))
        .not_valid_after(_day(now, days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if names or client_names:
        given: list[x509.GeneralName] = [
            x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names
        ]
        given += client_names
        builder = builder.add_extension(x509.SubjectAlternativeName(given), critical=False)
    if alternatives:
        content = b"\x30%c%b" % (len(alternatives), alternatives)
        given_as_bytes = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, content)
        builder = builder.add_extension(given_as_bytes, critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    signing = issuer.key if issuer else key
    return builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())
