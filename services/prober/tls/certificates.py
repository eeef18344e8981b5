"""Reads X.509 certificates and what they state."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.utils import CryptographyDeprecationWarning

from services.prober.observation import CertificateFacts

UNREADABLE = (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType, x509.DuplicateExtension)
"""Errors that the library raises for versions and extensions it cannot parse. TLS libraries tolerate some of them."""

# What is kept of a certificate, which the server chooses: names, characters of all names, and of the subject.
_MAX_NAMES: Final = 100
_NAMES_LENGTH: Final = 4096
_SUBJECT_LENGTH: Final = 1024
# Go's limits. Usual are up to 4096 bits and the exponent 65537. With an exponent as long as the modulus, a signature takes
# ten milliseconds, and a chain may need a hundred.
_MODULUS_BITS: Final = 8192
_EXPONENT_BITS: Final = 31


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM text that can be parsed. Raises ValueError when there are none."""
    certificates = []
    marker = b"-----END CERTIFICATE-----"
    with warnings.catch_warnings():
        # System bundles hold a few that strict parsers complain about or refuse.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for part in pem.split(marker)[:-1]:
            try:
                block = part[part.index(b"-----BEGIN CERT") :] + marker + b"\n"
                certificates.append(x509.load_pem_x509_certificate(block))
            except UNREADABLE:
                continue
    if not certificates:
        raise ValueError("it holds no certificate")
    return certificates


def facts_of(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> CertificateFacts:
    """Return what a presented chain states."""
    alternatives = _alternative_names(leaf)
    names = (
        *alternatives.get_values_for_type(x509.DNSName),
        *(str(address) for address in alternatives.get_values_for_type(x509.IPAddress)),
    )
    kept = sum(total <= _NAMES_LENGTH for total in accumulate(map(len, names[:_MAX_NAMES])))
    return CertificateFacts(
        subject=leaf.subject.rfc4514_string()[:_SUBJECT_LENGTH],
        names=names[:kept],
        more_names=len(names) - kept,
        not_before=int(not_before(leaf)),
        not_after=int(not_after(leaf)),
        earliest_expiry=int(min(map(not_after, [leaf, *others]))),
    )


def verifies_quickly(authority: x509.Certificate) -> bool:
    """Return whether signatures of an authority, which the server chose, can be verified in about a millisecond."""
    try:
        key = authority.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    return not isinstance(key, RSAPublicKey) or (
        key.key_size <= _MODULUS_BITS and key.public_numbers().e.bit_length() <= _EXPONENT_BITS
    )


def is_named(leaf: x509.Certificate, name: str) -> bool:
    """Return whether the leaf names this server, exactly or by a wildcard for the first label (RFC 9525, 6.3)."""
    wanted = name.lower()
    first, _, rest = wanted.partition(".")
    accepted = {wanted, f"*.{rest}"} if first and rest else {wanted}
    names = _alternative_names(leaf).get_values_for_type(x509.DNSName)
    return not accepted.isdisjoint(given.lower() for given in names)


def _alternative_names(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    """Return the leaf's alternative names, none when they cannot be parsed."""
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return x509.SubjectAlternativeName([])


def fingerprint(certificate: x509.Certificate) -> bytes:
    """Return a digest that identifies a certificate."""
    return blake2b(certificate.tbs_certificate_bytes + certificate.signature, digest_size=20).digest()


def not_before(certificate: x509.Certificate) -> float:
    """Return when a certificate becomes valid, epoch seconds."""
    return certificate.not_valid_before_utc.timestamp()


def not_after(certificate: x509.Certificate) -> float:
    """Return when a certificate expires, epoch seconds."""
    return certificate.not_valid_after_utc.timestamp()
