"""What the prober keeps of the certificates that servers choose."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.prober.observation import Cause
from services.prober.tls.verification import ChainVerifier
from services.prober.transport.addresses import _is_address, is_address
from tests.support.servers.authority import Authority, Key

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


def _slow_key() -> rsa.RSAPrivateKey:
    """Return a key that signs quickly, and whose signatures take long to verify."""
    given = rsa.generate_private_key(65537, 2048).private_numbers()
    order = math.lcm(given.p - 1, given.q - 1)
    private = next(number for number in range(65539, 1 << 20, 2) if math.gcd(number, order) == 1)
    public = rsa.RSAPublicNumbers(pow(private, -1, order), given.p * given.q)
    parts = rsa.rsa_crt_dmp1(private, given.p), rsa.rsa_crt_dmq1(private, given.q), given.iqmp
    return rsa.RSAPrivateNumbers(given.p, given.q, private, *parts, public).private_key(
        unsafe_skip_rsa_key_validation=True
    )


@pytest.mark.parametrize("slow", [True, False])
def test_an_authority_whose_signatures_take_long_to_verify(authority: Authority, slow: bool) -> None:
    """An authority between, which the server chose, is passed over if its key has an exponent that no real one has."""
    key = _slow_key() if slow else rsa.generate_private_key(65537, 2048)
    between = authority.below("between", key=key)
    chain = [between.certificate.public_bytes(Encoding.DER), *_twins(between)]
    result = ChainVerifier([authority.certificate]).verify([_leaf(between, NAME), *chain], NAME, time())
    assert result.cause is (Cause.CERTIFICATE_UNTRUSTED if slow else None)
    assert result.facts is not None
    assert result.facts.names == (NAME,)


def _twins(authority: Authority) -> list[bytes]:
    """Return certificates of one name and key that sign each other, so that there are many paths."""
    twins = [authority.again((-1, 300 + days), authority) for days in range(5)]
    return [twin.certificate.public_bytes(Encoding.DER) for twin in twins]


_OTHER_USES = dict.fromkeys(
    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
    False,
)
_CA, _NO_CA = (x509.BasicConstraints(ca, None) for ca in (True, False))
_SIGNS_CERTIFICATES, _SIGNS_LISTS = (
    x509.KeyUsage(digital_signature=True, key_cert_sign=certificates, crl_sign=True, **_OTHER_USES)
    for certificates in (True, False)
)
_SERVERS, _CLIENTS, _ALL = (
    x509.ExtendedKeyUsage([usage])
    for usage in (
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    )
)


@pytest.mark.parametrize(
    ("of_authority", "of_server", "trusted"),
    [
        ([_CA], [], True),
        ([_CA, _SIGNS_CERTIFICATES, _SERVERS], [_SERVERS], True),
        ([_CA, _ALL], [_ALL], True),
        ([], [], False),
        ([_NO_CA], [], False),
        ([_CA, _SIGNS_LISTS], [], False),
        ([_CA, _CLIENTS], [], False),
        ([_CA], [_CLIENTS], False),
    ],
)
def test_what_certificates_may_be_used_for(
    authority: Authority, of_authority: list[x509.ExtensionType], of_server: list[x509.ExtensionType], trusted: bool
) -> None:
    """Only what is an authority, and may sign certificates of servers, is one. Only what is for servers is a server's."""
    key = ec.generate_private_key(ec.SECP256R1())
    between = _issue("between", key, authority.certificate.subject, authority.key, *of_authority)
    name = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    leaf = _issue("server", key, between.subject, key, name, *of_server)
    chain = [certificate.public_bytes(Encoding.DER) for certificate in (leaf, between)]
    cause = ChainVerifier([authority.certificate]).verify(chain, NAME, time()).cause
    assert cause is (None if trusted else Cause.CERTIFICATE_UNTRUSTED)


def _issue(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, signing: Key, *extensions: x509.ExtensionType
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), key.public_key()
    )
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signing, hashes.SHA256())


def test_long_hosts_are_not_kept() -> None:
    """The longest form of an IPv6 address is one; a longer host is none, and is not remembered."""
    assert is_address("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
    before = _kept()
    assert not is_address("a" * 46)
    assert _kept() == before


def _kept() -> int:
    return _is_address.cache_info().currsize
