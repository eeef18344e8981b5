"""Whatever a server presents as certificates is judged, and never fails the prober."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from services.prober.observation import Cause
from services.prober.tls.verification import ChainVerifier
from tests.support.servers.authority import Authority


def _chain() -> tuple[x509.Certificate, list[bytes]]:
    """Return an authority, and a chain that it vouches for, as DER, leaf first."""
    with TemporaryDirectory() as folder:
        authority = Authority.make(Path(folder))
        middle = authority.below("Intermediate")
        file = middle.server("tax.example", "192.0.2.1", chain=(middle,))
        certificates = x509.load_pem_x509_certificates(file.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    return authority.certificate, [certificate.public_bytes(Encoding.DER) for certificate in certificates]


AUTHORITY, CHAIN = _chain()
VERIFIERS = {True: ChainVerifier([AUTHORITY]), False: ChainVerifier(())}

# The type of the text in the subject: a BIT STRING (3) in place of UTF8String, which only one attribute may have.
SUBJECT_PLACE = CHAIN[0].index(b"\x0c\x06server")
VERSION_PLACE = CHAIN[0].index(b"\xa0\x03\x02\x01\x02") + 4
edits = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=3)


@example(0, [(VERSION_PLACE, 8)], True)
@example(1, [(VERSION_PLACE, 8)], True)
@example(0, [(SUBJECT_PLACE, 3)], True)
@example(0, [(SUBJECT_PLACE, 3)], False)
@given(st.integers(0, 1), edits, st.booleans())
def test_bytes_changed_anywhere(damaged: int, changes: list[tuple[int, int]], verify: bool) -> None:
    """A chain with changed bytes in its leaf or issuer is not trusted; unverified, only its facts are read."""
    chain = list(map(bytearray, CHAIN))
    for place, value in changes:
        chain[damaged][place % len(chain[damaged])] = value
    presented = list(map(bytes, chain))
    result = VERIFIERS[verify].verify(presented, "tax.example", time())
    assert (result.cause is None) == (not verify or presented == CHAIN)


@given(st.lists(st.binary(max_size=40), max_size=3), st.booleans())
def test_what_are_no_certificates(chain: list[bytes], verify: bool) -> None:
    """Bytes that are not a certificate at all are not trusted."""
    result = VERIFIERS[verify].verify(chain, "tax.example", time())
    assert result.facts is None
    assert result.cause is (Cause.CERTIFICATE_UNTRUSTED if verify else None)
