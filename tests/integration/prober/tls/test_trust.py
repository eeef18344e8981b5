"""Whether an answer came over TLS, and what its certificates state. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import ssl
from math import inf
from pathlib import Path
from time import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, Tls
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, Request, answer, ask, says, serving
from tests.support.servers.name_server import name_server

_DAY = 86_400


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


def reference(folder: Path, *authorities: Authority) -> str:
    """Return ``file:PATH`` of a bundle of these authorities."""
    path = folder / "bundle.pem"
    path.write_bytes(b"".join(one.certificate.public_bytes(Encoding.PEM) for one in authorities))
    return f"file:{path}"


async def test_19_an_answer_in_plain_where_tls_is_expected() -> None:
    """A right answer over plain http is INVALID/NOT_SECURE where TLS is expected, and OK where it is not."""
    async with serving(says(200, b"fine")) as server:
        wanted = await ask(server.url(), Expect(tls=True))
        unwanted = await ask(server.url())
    assert (wanted.judgement.outcome, wanted.judgement.reason) == (Outcome.INVALID, Reason.NOT_SECURE)
    assert wanted.observation.tls_version == ""
    assert unwanted.judgement.reason is Reason.OK


async def test_19_an_answer_over_tls_where_it_is_expected(authority: Authority) -> None:
    """An answer over TLS passes, and the version is a fact."""
    async with serving(says(), tls=authority.context("127.0.0.1")) as server:
        result = await ask(server.url(), Expect(tls=True), tls=Tls(ca=authority.reference))
    assert (result.judgement.reason, result.observation.tls_version) == (Reason.OK, "TLSv1.3")


async def test_versions_of_tls_that_are_offered(authority: Authority) -> None:
    """A server of TLS 1.2 alone answers an offer of it, and refuses one of 1.3 alone: NOT_CONNECTED/TLS_FAILED."""
    context = authority.context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(says(), tls=context) as server:
        old, new = [
            await ask(server.url(), tls=Tls(ca=authority.reference, min_version=least, max_version=greatest))
            for least, greatest in (("", "1.2"), ("1.3", ""))
        ]
    assert (old.judgement.reason, old.observation.tls_version) == (Reason.OK, "TLSv1.2")
    assert new.judgement.reason is Reason.TLS_FAILED


@pytest.mark.parametrize(("days", "reason"), [(29.0, Reason.OK), (31.0, Reason.CERTIFICATE_EXPIRING)])
async def test_a_certificate_that_expires_soon(authority: Authority, days: float, reason: Reason) -> None:
    """A certificate of 30 days passes where 29 must be left, and not where 31 must; plain http has none."""
    expect = Expect(certificate_left=days * _DAY)
    async with serving(says(), tls=authority.context("127.0.0.1")) as server, serving(says()) as plain:
        result = await ask(server.url(), expect, tls=Tls(ca=authority.reference))
        bare = await ask(plain.url(), expect)
    assert result.judgement.reason is reason
    assert bare.judgement.reason is Reason.NOT_SECURE


async def test_19_the_last_answer_decides(authority: Authority) -> None:
    """A redirect from plain http to https gives an answer over TLS; one back to plain http is refused."""
    async with serving(says()) as plain:

        async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
            there = {"Location": plain.url()} if request.path == "/back" else {}
            writer.write(answer(302 if there else 200, b"", there))

        async with serving(handle, tls=authority.context("127.0.0.1")) as secure:
            for path, reason in (("/", Reason.OK), ("/back", Reason.REDIRECT_REFUSED)):
                async with serving(says(302, b"", {"Location": secure.url(path)})) as first:
                    result = await ask(first.url(), Expect(tls=True), tls=Tls(ca=authority.reference))
                assert result.judgement.reason is reason
    assert plain.connections == 0


async def test_19_what_did_not_answer_is_not_called_insecure() -> None:
    """A lower stage wins: a server error over plain http is NOT_ANSWERED."""
    async with serving(says(500)) as server:
        result = await ask(server.url(), Expect(tls=True))
    assert result.judgement.reason is Reason.SERVER_ERROR


async def test_20_a_self_signed_certificate_may_be_its_own_authority(authority: Authority, tmp_path: Path) -> None:
    """A profile whose authority is the certificate itself trusts it, and no other of that name."""
    context = authority.context("127.0.0.1", self_signed=True)
    (pem,) = tmp_path.glob("*.pem")
    async with (
        serving(says(), tls=context) as server,
        serving(says(), tls=authority.context("127.0.0.1", self_signed=True)) as other,
    ):
        believed = await ask(server.url(), tls=Tls(ca=f"file:{pem}"))
        refused = await ask(other.url(), tls=Tls(ca=f"file:{pem}"))
    assert believed.judgement.reason is Reason.OK
    assert refused.judgement.reason is Reason.CERTIFICATE_UNTRUSTED


async def test_21_sni_and_verification_use_the_name_of_the_target(authority: Authority) -> None:
    """Without an override the target's own name is sent and verified, never the root's dot and never an address."""
    context = authority.context("tax.test", "127.0.0.1")
    seen: list[str | None] = []
    context.sni_callback = lambda _connection, name, _context: seen.append(name)
    async with serving(says(), tls=context) as server, name_server({"tax.test": ["127.0.0.1"]}) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
        for host in ("tax.test", "tax.test.", "127.0.0.1"):
            result = await ask(server.url(host=host), environment=environment, tls=Tls(ca=authority.reference))
            assert result.judgement.reason is Reason.OK
    assert seen == ["tax.test", "tax.test", None]


async def test_23_an_older_root_ends_no_chain(tmp_path: Path) -> None:
    """Of two roots with one key the longer-lived decides the chain's expiry; the older one, presented, is earliest."""
    newer = Authority.make(tmp_path)
    older = newer.again(days=(-9, 5))
    context = newer.context("127.0.0.1", days=(-1, 20), chain=(older,))
    for trusted in ((older, newer), (newer, older)):
        async with serving(says(), tls=context) as server:
            result = await ask(server.url(), tls=Tls(ca=reference(tmp_path, *trusted)))
        facts = result.observation.certificate
        assert result.judgement.reason is Reason.OK
        assert facts is not None
        assert facts.earliest_expiry == pytest.approx(time() + 5 * _DAY, abs=60)
        assert facts.chain_expiry == pytest.approx(time() + 20 * _DAY, abs=60)


async def test_23_an_older_root_that_has_expired(tmp_path: Path) -> None:
    """A server that still presents an expired root is trusted by the newer one, and the expiry is a fact."""
    newer = Authority.make(tmp_path)
    older = newer.again(days=(-9, -2))
    context = newer.context("127.0.0.1", days=(-5, 20), chain=(older,))
    async with serving(says(), tls=context) as server:
        passed = await ask(server.url(), tls=Tls(ca=reference(tmp_path, older, newer)))
        failed = await ask(server.url(), tls=Tls(ca=older.reference))
    assert passed.judgement.reason is Reason.OK
    assert passed.observation.certificate is not None
    assert passed.observation.certificate.earliest_expiry == pytest.approx(time() - 2 * _DAY, abs=60)
    assert passed.observation.certificate.chain_expiry == pytest.approx(time() + 20 * _DAY, abs=60)
    assert (failed.judgement.outcome, failed.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CERTIFICATE_EXPIRED)


async def test_23_the_longer_of_two_intermediates_decides(authority: Authority, tmp_path: Path) -> None:
    """Of two intermediates with one key, both presented, the longer-lived decides when the chain expires."""
    short = authority.below("Intermediate", days=(-9, 5))
    long = short.again(days=(-9, 15), issuer=authority)
    for chain in ((short, long), (long, short)):
        async with serving(says(), tls=short.context("127.0.0.1", days=(-1, 20), chain=chain)) as server:
            result = await ask(server.url(), tls=Tls(ca=authority.reference))
        facts = result.observation.certificate
        assert result.judgement.reason is Reason.OK
        assert facts is not None
        assert facts.earliest_expiry == pytest.approx(time() + 5 * _DAY, abs=60)
        assert facts.chain_expiry == pytest.approx(time() + 15 * _DAY, abs=60)


@pytest.mark.parametrize(
    ("names", "days", "self_signed", "reason"),
    [
        (("127.0.0.1",), (-30, -2), False, Reason.CERTIFICATE_EXPIRED),
        (("127.0.0.1",), (2, 30), False, Reason.CERTIFICATE_NOT_YET_VALID),
        (("127.0.0.1",), (-1, 30), True, Reason.CERTIFICATE_UNTRUSTED),
        (("127.0.0.1",), (-30, -2), True, Reason.CERTIFICATE_EXPIRED),
        (("other.example",), (-1, 30), False, Reason.CERTIFICATE_NAME_MISMATCH),
    ],
)
async def test_24_facts_of_certificates_that_are_not_believed(
    authority: Authority,
    names: tuple[str, ...],
    days: tuple[float, float],
    self_signed: bool,
    reason: Reason,
) -> None:
    """Names and real dates of a certificate are facts, whatever is wrong with it; what cannot be read has no dates."""
    context = authority.context(*names, days=days, self_signed=self_signed)
    async with serving(says(), tls=context) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    facts = result.observation.certificate
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, reason)
    assert facts is not None
    assert facts.names == names
    assert facts.not_before == pytest.approx(time() + days[0] * _DAY, abs=60)
    assert facts.not_after == facts.earliest_expiry == pytest.approx(time() + days[1] * _DAY, abs=60)
    assert facts.chain_expiry is None
    assert server.requests == []


async def test_24_facts_without_verification(authority: Authority) -> None:
    """With verify: false the facts of an expired certificate are known too, and it passes."""
    async with serving(says(), tls=authority.context("127.0.0.1", days=(-30, -2))) as server:
        result = await ask(server.url(), tls=Tls(verify=False))
    facts = result.observation.certificate
    assert result.judgement.reason is Reason.OK
    assert facts is not None
    assert facts.earliest_expiry == pytest.approx(time() - 2 * _DAY, abs=60)
    assert facts.chain_expiry is None


async def test_23_a_chain_without_end(tmp_path: Path) -> None:
    """A chain valid to the last second of the year 9999, which stands for no end (RFC 5280, 4.1.2.5), expires then."""
    authority = Authority.make(tmp_path, days=(-10, inf))
    async with serving(says(), tls=authority.context("127.0.0.1", days=(-1, inf))) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    facts = result.observation.certificate
    assert result.judgement.reason is Reason.OK
    assert facts is not None
    assert facts.chain_expiry == facts.not_after == 253_402_300_799


_LOCALHOST = b"\x87\x04\x7f\0\0\x01"
# The version field, from version 3 to version 9.
_BEYOND_VERSION_3 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x08"


@pytest.mark.parametrize(
    "odd", [b"\x87\x03abc", b"\xa3\x02\x05\0", b"\xa5\x03\xa1\x01\0"], ids=["no address", "X.400", "EDI"]
)
async def test_24_names_that_cannot_be_read(authority: Authority, odd: bytes) -> None:
    """Beside a name of a kind or length that cannot be parsed a right one is right; unverified, names do not matter."""
    for alternatives, verify, reason in (
        (odd + _LOCALHOST, True, Reason.OK),
        (odd, True, Reason.CERTIFICATE_UNTRUSTED),
        (odd, False, Reason.OK),
    ):
        async with serving(says(), tls=authority.context(alternatives=alternatives)) as server:
            result = await ask(server.url(), tls=Tls(ca=authority.reference, verify=verify))
        assert result.judgement.reason is reason
        assert result.observation.certificate is not None
        assert result.observation.certificate.not_after == pytest.approx(time() + 30 * _DAY, abs=60)
    stranger = Authority.make(authority.folder, "Stranger")
    async with serving(says(), tls=stranger.context(alternatives=odd + _LOCALHOST)) as server:
        result = await ask(server.url(), tls=Tls(ca=authority.reference))
    assert result.judgement.reason is Reason.CERTIFICATE_UNTRUSTED


async def test_24_a_version_that_does_not_exist(authority: Authority) -> None:
    """A certificate of an X.509 version beyond 3, which TLS libraries serve, is not trusted; unverified, it passes."""
    file = authority.server("127.0.0.1")
    key, _, leaf = file.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert("-----BEGIN CERTIFICATE-----" + leaf.decode())
    file.write_bytes(key + ssl.DER_cert_to_PEM_cert(der.replace(*_BEYOND_VERSION_3, 1)).encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    for verify, reason in ((True, Reason.CERTIFICATE_UNTRUSTED), (False, Reason.OK)):
        async with serving(says(), tls=context) as server:
            result = await ask(server.url(), tls=Tls(ca=authority.reference, verify=verify))
        assert result.judgement.reason is reason
        assert result.observation.certificate is None


async def test_24_an_authority_that_cannot_be_read_is_passed_over(authority: Authority, tmp_path: Path) -> None:
    """A bundle of ours with a certificate of a version beyond 3 serves with its other certificates."""
    odd = authority.certificate.public_bytes(Encoding.DER).replace(*_BEYOND_VERSION_3, 1)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(ssl.DER_cert_to_PEM_cert(odd).encode() + authority.certificate.public_bytes(Encoding.PEM))
    async with serving(says(), tls=authority.context("127.0.0.1")) as server:
        result = await ask(server.url(), tls=Tls(ca=f"file:{bundle}"))
    assert result.judgement.reason is Reason.OK


async def test_20_signatures_that_are_not_believed(tmp_path: Path) -> None:
    """A chain signed by other algorithms than the web's is not trusted, but its leaf is as an anchor itself."""
    authority = Authority.make(tmp_path, key=Ed25519PrivateKey.generate())
    file = authority.server("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with serving(says(), tls=context) as server:
        refused = await ask(server.url(), tls=Tls(ca=authority.reference))
        believed = await ask(server.url(), tls=Tls(ca=f"file:{file}"))
    assert refused.judgement.reason is Reason.CERTIFICATE_UNTRUSTED
    assert believed.judgement.reason is Reason.OK
