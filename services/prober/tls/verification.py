"""What a server's certificates say, and whether they are to be believed (docs/probing.md §5, behaviours 20-24). Pure.

Handshakes run with verification off, so that facts are known even when it fails; then the chain is verified here, before
anything is sent over the connection. OpenSSL has by then proved that the server holds the leaf's private key.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from ipaddress import ip_address

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import DNSName, IPAddress
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from services.prober.observation import Cause, CertificateFacts

__all__ = ["ChainVerifier", "VerificationResult", "read_certificates"]

_REMEMBERED = 20_000
_LONGER_CHAINS = 8
# The last moment that a certificate, and Python, can tell of.
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
# What the library raises of extensions that it cannot read, some of which TLS libraries do not mind.
_UNREADABLE = (ValueError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension)


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """Facts of a chain, and why it is not believed (None when it is). Holds until ``until``, epoch seconds."""

    facts: CertificateFacts | None
    cause: Cause | None
    detail: str
    until: float


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Read the certificates in a PEM text, those that can be. ValueError when there is none."""
    found = []
    marker = b"-----END CERTIFICATE-----"
    with warnings.catch_warnings():
        # System bundles hold a few that strict parsers complain about or refuse.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for part in pem.split(marker)[:-1]:
            try:
                found.append(x509.load_pem_x509_certificate(part[part.index(b"-----BEGIN CERT") :] + marker + b"\n"))
            except ValueError:
                continue
    if not found:
        raise ValueError("it holds no certificate")
    return found


class ChainVerifier:
    """What one TLS profile believes: a set of trust anchors. An empty one only gathers facts."""

    def __init__(self, anchors: Sequence[x509.Certificate]) -> None:
        self._store = Store(list(anchors)) if anchors else None
        self._anchors = {_fingerprint(anchor) for anchor in anchors}
        self._known: OrderedDict[bytes, VerificationResult] = OrderedDict()

    def examine(self, chain: Sequence[bytes], name: str, now: float) -> VerificationResult:
        """Facts and belief of a presented chain (DER, leaf first) for a server called ``name``, at epoch ``now``.

        The same chain is examined once until one of its dates passes: a signature check costs as much as a handshake.
        """
        digest = blake2b(name.encode(), digest_size=20)
        for der in chain:
            digest.update(der)
        key = digest.digest()
        known = self._known.get(key)
        if known is not None and now < known.until:
            self._known.move_to_end(key)
            return known
        examined = self._examine(chain, name, now)
        self._known[key] = examined
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return examined

    def _examine(self, chain: Sequence[bytes], name: str, now: float) -> VerificationResult:
        try:
            leaf, *others = (x509.load_der_x509_certificate(der) for der in chain)
            facts = _facts(leaf, others)
        except ValueError as error:
            if self._store is None:
                return VerificationResult(None, None, "", now + 60)
            return VerificationResult(
                None, Cause.CERTIFICATE_UNTRUSTED, f"the certificate cannot be read: {error}", now + 60
            )
        until = min([moment for moment in _dates([leaf, *others]) if moment > now], default=now + 3600)
        until = min(until, now + 3600)
        if self._store is None:
            return VerificationResult(facts, None, "", until)
        cause, detail = self._doubt(leaf, others, name, now)
        if cause is None:
            facts = replace(facts, chain_expiry=self._longest(leaf, others, name, now))
        return VerificationResult(facts, cause, detail, until)

    def _doubt(
        self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, now: float
    ) -> tuple[Cause | None, str]:
        if now > _after(leaf):
            return Cause.CERTIFICATE_EXPIRED, f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
        if now < _before(leaf):
            return (
                Cause.CERTIFICATE_NOT_YET_VALID,
                f"the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d}",
            )
        if self._verified(leaf, others, name, now) is None:
            expired = [other for other in others if now > _after(other)]
            if expired and self._verified(leaf, others, name, max(_before(leaf), min(map(_after, expired)) - 1)):
                return Cause.CERTIFICATE_EXPIRED, "a certificate above the server's own has expired"
            return Cause.CERTIFICATE_UNTRUSTED, "no trusted authority vouches for the certificate"
        if not _matches(leaf, name):
            return Cause.CERTIFICATE_NAME_MISMATCH, f"the certificate is not for {name}"
        return None, ""

    def _verified(
        self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, moment: float
    ) -> list[x509.Certificate] | None:
        """Return the chain that verifies at ``moment``, whatever the name; None when there is none.

        Of a leaf whose names cannot all be read only one for ``name`` verifies.
        """
        if _fingerprint(leaf) in self._anchors:
            return [leaf] if _before(leaf) <= moment <= _after(leaf) else None
        assert self._store is not None
        verifier = _policy(self._store, moment).build_client_verifier()
        try:
            return verifier.verify(leaf, others).chain
        except VerificationError:
            return None
        except _UNREADABLE:
            # It returns the names of a client, all of them; those of a server it compares, and skips what it cannot read.
            return self._verified_server(leaf, others, name, moment)

    def _verified_server(
        self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, moment: float
    ) -> list[x509.Certificate] | None:
        assert self._store is not None
        try:
            verifier = _policy(self._store, moment, named=True).build_server_verifier(_subject(name.rstrip(".")))
            return verifier.verify(leaf, others)
        except (VerificationError, *_UNREADABLE):
            return None

    def _longest(self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, now: float) -> int:
        """When the longest-lived of the chains that verify now ends."""
        end = now
        for _ in range(_LONGER_CHAINS):
            chain = self._verified(leaf, others, name, end)
            if chain is None:
                break
            end = min(map(_after, chain)) + 1
            if end > _LATEST:
                break
        return int(end) - 1


def _policy(store: Store, moment: float, *, named: bool = False) -> PolicyBuilder:
    """Set the rules of RFC 5280 that matter for trust, without those of the public web.

    Authorities of governments often leave out extensions that browsers demand of public ones; the inquiry works
    regardless, so refusing them would blame the target for our taste.
    """
    authorities = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
        # What an authority is limited to limits all that it signs, for OpenSSL and Go too.
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _serves)
    )
    servers = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _serves)
    if named:
        servers = servers.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    when = datetime.fromtimestamp(moment, UTC)
    return PolicyBuilder().store(store).time(when).extension_policies(ca_policy=authorities, ee_policy=servers)


def _is_authority(_policy: Policy, _certificate: x509.Certificate, extension: x509.BasicConstraints) -> None:
    if not extension.ca:
        raise ValueError("not an authority")


def _signs_certificates(_policy: Policy, _certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("not for signing certificates")


def _serves(_policy: Policy, _certificate: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    wanted = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if extension is not None and wanted.isdisjoint(extension):
        raise ValueError("not for servers")


def _matches(leaf: x509.Certificate, name: str) -> bool:
    """Whether the leaf is for this server, by the library's own name rules: only the chain is left out of question."""
    name = name.rstrip(".")
    # The leaf as its own anchor makes the chain trivially right, and leaves the name to decide.
    policy = _policy(Store([leaf]), _before(leaf) + 1, named=True)
    try:
        verifier = policy.build_server_verifier(_subject(name))
    except ValueError:  # not a host name by RFC 1123, such as one with an underscore
        return _is_named(leaf, name)
    try:
        verifier.verify(leaf, [])
    except VerificationError:
        return False
    return True


def _subject(name: str) -> DNSName | IPAddress:
    try:
        return IPAddress(ip_address(name))
    except ValueError:
        return DNSName(name)


def _is_named(leaf: x509.Certificate, name: str) -> bool:
    """Whether the leaf names this server, exactly or by a wildcard in place of the first label (RFC 9525, 6.3)."""
    wanted = name.lower()
    first, _, rest = wanted.partition(".")
    accepted = {wanted, f"*.{rest}"} if first and rest else {wanted}
    return not accepted.isdisjoint(given.lower() for given in _alternatives(leaf).get_values_for_type(x509.DNSName))


def _facts(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> CertificateFacts:
    alternatives = _alternatives(leaf)
    names = (
        *alternatives.get_values_for_type(x509.DNSName),
        *(str(address) for address in alternatives.get_values_for_type(x509.IPAddress)),
    )
    return CertificateFacts(
        subject=leaf.subject.rfc4514_string(),
        names=names,
        not_before=int(_before(leaf)),
        not_after=int(_after(leaf)),
        earliest_expiry=int(min(map(_after, [leaf, *others]))),
    )


def _alternatives(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    """Return the names a leaf gives; none where they cannot be read."""
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return x509.SubjectAlternativeName([])


def _fingerprint(certificate: x509.Certificate) -> bytes:
    return blake2b(certificate.tbs_certificate_bytes + certificate.signature, digest_size=20).digest()


def _before(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def _after(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def _dates(certificates: Sequence[x509.Certificate]) -> list[float]:
    return [date for certificate in certificates for date in (_before(certificate), _after(certificate))]
