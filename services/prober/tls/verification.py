"""Verifies the certificates that a server presents (docs/probing.md §5, behaviours 20-24). Pure.

Handshakes run with verification off, so that the facts are known even when verification fails. The chain is verified
here afterwards, before anything is sent. By then OpenSSL has proved that the server holds the leaf's private key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.x509 import DNSName, IPAddress
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from services.prober.observation import Cause, CertificateFacts
from services.prober.tls.certificates import (
    UNREADABLE,
    facts_of,
    fingerprint,
    is_named,
    not_after,
    not_before,
    verifies_quickly,
)

_SERVER_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_CACHE_SIZE = 20_000
_MAX_CHAINS = 8
# The last moment that a certificate, and Python, can express.
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """The facts of a chain, and why it is not trusted (None when it is). Valid until ``until``, in epoch seconds."""

    facts: CertificateFacts | None
    cause: Cause | None
    detail: str
    until: float


class ChainVerifier:
    """Verifies chains against a set of trust anchors. Without anchors it only reads facts."""

    def __init__(self, anchors: Sequence[x509.Certificate]) -> None:
        self._store = Store(list(anchors)) if anchors else None
        self._anchors = {fingerprint(anchor) for anchor in anchors}
        self._cache: OrderedDict[str, tuple[bytes, VerificationResult]] = OrderedDict()

    def verify(self, chain: Sequence[bytes], name: str, now: float) -> VerificationResult:
        """Verify a presented chain (DER, leaf first) for the server called ``name``, at epoch ``now``.

        The result is cached for an hour at most, or until one of the chain's dates passes: a signature check costs as
        much as a handshake. Only the last chain of each name is cached, since a server may show a new one each time.
        """
        digest = blake2b(b"".join(chain), digest_size=20).digest()
        known, result = self._cache.pop(name, (b"", None))
        if result is None or known != digest or now >= result.until:
            result = self._verify(chain, name, now)
        self._cache[name] = digest, result  # the name used last comes last
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return result

    def _verify(self, chain: Sequence[bytes], name: str, now: float) -> VerificationResult:
        facts: CertificateFacts | None = None
        cause: Cause | None = None
        detail, until = "", now + 60
        try:
            leaf, *others = (x509.load_der_x509_certificate(der) for der in chain)
            facts = facts_of(leaf, others)
            dates = (date for one in (leaf, *others) for date in (not_before(one), not_after(one)))
            until = min([now + 3600, *(date for date in dates if date > now)])
            if self._store is not None:
                issuers = [one for one in others if verifies_quickly(one)]
                cause, detail = self._distrust(leaf, issuers, name, now)
                if cause is None:
                    facts = replace(facts, chain_expiry=self._chain_expiry(leaf, issuers, name, now))
        except Exception as error:  # noqa: BLE001 - the server chose the certificates, so errors are its fault
            if self._store is not None:
                cause = Cause.CERTIFICATE_UNTRUSTED
                detail = f"the certificate cannot be read: {str(error) or type(error).__name__}"
        return VerificationResult(facts, cause, detail, until)

    def _distrust(
        self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, now: float
    ) -> tuple[Cause | None, str]:
        """Return why the chain is not trusted; None and no detail when it is."""
        if now > not_after(leaf):
            return Cause.CERTIFICATE_EXPIRED, f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
        if now < not_before(leaf):
            detail = f"the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d}"
            return Cause.CERTIFICATE_NOT_YET_VALID, detail
        if self._trusted_chain(leaf, others, name, now) is None:
            expired = [not_after(other) for other in others if now > not_after(other)]
            if expired and self._trusted_chain(leaf, others, name, max(not_before(leaf), min(expired) - 1)):
                return Cause.CERTIFICATE_EXPIRED, "a certificate above the server's own has expired"
            return Cause.CERTIFICATE_UNTRUSTED, "no trusted authority vouches for the certificate"
        if not _matches(leaf, name):
            return Cause.CERTIFICATE_NAME_MISMATCH, f"the certificate is not for {name}"
        return None, ""

    def _trusted_chain(
        self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, moment: float
    ) -> list[x509.Certificate] | None:
        """Return a chain that verifies at ``moment``, for any name; None when there is none.

        A leaf with names that cannot be parsed verifies for ``name`` only.
        """
        if fingerprint(leaf) in self._anchors:
            return [leaf] if not_before(leaf) <= moment <= not_after(leaf) else None
        assert self._store is not None
        verifier = _policy(self._store, moment).build_client_verifier()
        try:
            return verifier.verify(leaf, others).chain
        except VerificationError:
            return None
        except UNREADABLE:
            pass  # this verifier parses every name; the one of servers skips names that it cannot parse
        try:
            policy = _policy(self._store, moment, named=True)
            return policy.build_server_verifier(_subject(name.rstrip("."))).verify(leaf, others)
        except (VerificationError, *UNREADABLE):
            return None

    def _chain_expiry(self, leaf: x509.Certificate, others: list[x509.Certificate], name: str, now: float) -> int:
        """Return when the longest-lived of the chains that verify now expires."""
        end = now
        for _ in range(_MAX_CHAINS):
            chain = self._trusted_chain(leaf, others, name, end)
            if chain is None:
                break
            end = min(map(not_after, chain)) + 1
            if end > _LATEST:
                break
        return int(end) - 1


def _policy(store: Store, moment: float, *, named: bool = False) -> PolicyBuilder:
    """Return the rules of RFC 5280 that matter for trust, without those of the public web.

    Governments' authorities often leave out extensions that browsers demand of public authorities. Links work
    regardless, so refusing those certificates would blame the target for a preference of ours.
    """
    is_authority = _checked(lambda constraints: constraints.ca, "not an authority")
    may_sign = _checked(lambda usage: usage.key_cert_sign, "not for signing certificates")
    is_for_servers = _checked(lambda usages: not _SERVER_USAGES.isdisjoint(usages), "not for servers")
    # An authority's limit of usage limits all that it signs, for OpenSSL and Go too.
    servers = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, is_for_servers)
    authorities = servers.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, is_authority).may_be_present(
        x509.KeyUsage, Criticality.AGNOSTIC, may_sign
    )
    if named:
        servers = servers.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    time = datetime.fromtimestamp(moment, UTC)
    return PolicyBuilder().store(store).time(time).extension_policies(ca_policy=authorities, ee_policy=servers)


def _checked(holds: Callable[[Any], bool], fault: str) -> Callable[[Policy, x509.Certificate, Any], None]:
    """Return the check that something holds for an extension, if a certificate has it."""

    def check(_policy: Policy, _certificate: x509.Certificate, extension: Any) -> None:
        if extension is not None and not holds(extension):
            raise ValueError(fault)

    return check


def _matches(leaf: x509.Certificate, name: str) -> bool:
    """Return whether the leaf is for this server, by the library's own rules for names."""
    name = name.rstrip(".")
    # With the leaf as its own anchor, any chain is right, so that only the name decides.
    policy = _policy(Store([leaf]), not_before(leaf) + 1, named=True)
    try:
        verifier = policy.build_server_verifier(_subject(name))
    except ValueError:  # not a host name by RFC 1123, such as one with an underscore
        return is_named(leaf, name)
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
