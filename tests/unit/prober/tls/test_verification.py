"""What the prober keeps of the certificates that servers choose."""

from __future__ import annotations

from pathlib import Path
from time import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.prober.observation import Cause
from services.prober.tls.verification import ChainVerifier
from services.prober.transport.addresses import _is_address, is_address
from tests.support.servers.authority import Authority

NAME = "last.example"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


def _leaf(authority: Authority, *names: str, self_signed: bool = False) -> bytes:
    pem = authority.server(*names, self_signed=self_signed).read_bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_a_server_with_ever_new_certificates_has_one_entry(authority: Authority) -> None:
    """Only the last chain of a name is kept, and each chain is judged by itself."""
    verifier = ChainVerifier([authority.certificate])
    good = _leaf(authority, NAME)
    for _ in range(5):
        bad = _leaf(authority, NAME, self_signed=True)
        assert verifier.verify([bad], NAME, time()).cause is Cause.CERTIFICATE_UNTRUSTED
        assert verifier.verify([good], NAME, time()).cause is None
    assert len(verifier._cache) == 1
    assert verifier.verify([good], NAME, time()) is verifier.verify([good], NAME, time())
    verifier.verify([good], "other.example", time())
    assert len(verifier._cache) == 2


def test_few_names_of_a_certificate_are_kept(authority: Authority) -> None:
    """A certificate is for the last of its many names, although only the first names are facts."""
    names = [f"n{number}.example" for number in range(1000)]
    result = ChainVerifier([authority.certificate]).verify([_leaf(authority, *names, NAME)], NAME, time())
    assert result.cause is None
    assert result.facts is not None
    assert result.facts.names == tuple(names[:100])
    assert result.facts.more_names == 901


def test_long_names_of_a_certificate_are_cut(authority: Authority) -> None:
    """The names that are kept hold 4,096 characters in all."""
    names = [f"{'.'.join([letter * 50] * 4)}.example" for letter in "abcdefgh"] * 5
    result = ChainVerifier([authority.certificate]).verify([_leaf(authority, *names, NAME)], NAME, time())
    assert result.cause is None
    assert result.facts is not None
    assert result.facts.names == tuple(names[:19])
    assert result.facts.more_names == 22


def test_long_hosts_are_not_kept() -> None:
    """The longest form of an IPv6 address is one; a longer host is none, and is not remembered."""
    assert is_address("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
    before = _kept()
    assert not is_address("a" * 46)
    assert _kept() == before


def _kept() -> int:
    return _is_address.cache_info().currsize
