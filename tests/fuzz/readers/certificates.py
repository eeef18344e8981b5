"""Readers of certificates: those that a server presents, and files of authorities."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.prober.tls.certificates import read_certificates
from services.prober.tls.verification import ChainVerifier
from tests.fuzz.reader import Reader
from tests.support.servers.authority import Authority

__all__ = ["READERS"]

_NOW = 1_800_000_000.0
_NAMES = ("tax.test", "192.0.2.1", "_odd.test")
_UNVERIFIED = ChainVerifier([])


@cache
def _issued() -> tuple[Authority, tuple[bytes, ...]]:
    """Return an authority, and certificates that it and one below it have issued, as DER."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.make(Path(folder), days=(-7_000, 7_000))
        below = authority.below("Below", days=(-7_000, 7_000))
        files = [issuer.server(*_NAMES[:2], days=(-7_000, 7_000)) for issuer in (authority, below)]
        leaves = [x509.load_pem_x509_certificate(file.read_bytes()) for file in files]
        return authority, tuple(one.public_bytes(Encoding.DER) for one in (*leaves, below.certificate))


@cache
def _verifier() -> ChainVerifier:
    return ChainVerifier([_issued()[0].certificate])


def _chain(data: bytes) -> None:
    """Verify a certificate alone, and with an authority between it and the anchor."""
    between = _issued()[1][-1]
    for name in _NAMES:
        _verifier().verify([data], name, _NOW)
        _verifier().verify([data, between, data], name, _NOW)
    _UNVERIFIED.verify([data], _NAMES[0], _NOW)


def _authorities() -> Iterator[bytes]:
    yield _issued()[0].certificate.public_bytes(Encoding.PEM) * 2


READERS = (
    Reader("certificate", _chain, lambda: _issued()[1]),
    Reader("file of authorities", read_certificates, _authorities, (ValueError,)),
)
