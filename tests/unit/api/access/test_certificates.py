"""Certificates of clients and of the api: required, revoked, renewed and wrong."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access.callers import identifier_from_settings, read_clients
from services.api.access.certificates import credentials_from_settings
from services.api.access.revocation import Revocations, revocations_from_settings
from services.core.errors import SettingsError
from services.core.settings import Settings
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.looking import Stubs, looking_always
from tests.support.cases.api.secured import Secured, renew, serving, settings_with, with_clients
from tests.support.servers.authority import Authority
from tests.support.waiting import DEADLINE

__all__ = ["looking_always"]  # fixtures

DAY = 86_400


async def test_a_certificate_of_that_authority_is_required(secured, tmp_path):
    """Without a certificate, or with one of another authority, the handshake fails, even if its name has a role."""
    other = Authority.make(tmp_path, "Somebody Else")
    for channel in (secured.channel(), secured.channel("audit.example", other)):
        async with channel:
            stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetIndicator(
                    messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT), timeout=DEADLINE
                )
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


TYPED = """\
clients:
  - {dns: Audit.example, role: auditor}
  - {uri: "spiffe://example/audit", role: auditor}
  - {email: audit@example, role: auditor}
  - {ip: 192.0.2.7, role: auditor}
  - {ip: "2001:DB8:0::7", role: auditor}
  - {common_name: by-name.example, role: auditor}
"""
DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "by-name.example")]))


@pytest.mark.parametrize(
    ("common_name", "alternatives", "listed"),
    [
        ("x", [x509.DNSName("audit.example")], True),
        ("x", [x509.DNSName("AUDIT.EXAMPLE")], True),
        ("x", [x509.UniformResourceIdentifier("spiffe://example/audit")], True),
        ("x", [x509.RFC822Name("audit@example")], True),
        ("x", [x509.IPAddress(ip_address("192.0.2.7"))], True),
        ("x", [x509.IPAddress(ip_address("2001:db8::7"))], True),
        ("x", [x509.DNSName("other.example"), x509.DNSName("audit.example")], True),
        ("by-name.example", [], True),
        ("audit.example", [], False),  # listed as the name of a host
        ("by-name.example", [x509.DNSName("other.example")], False),
        ("by-name.example", [DIRECTORY], False),
        ("x", [x509.UniformResourceIdentifier("audit.example")], False),
        ("x", [x509.RFC822Name("audit.example")], False),
        ("x", [x509.DNSName("audit@example")], False),
        ("x", [x509.DNSName("192.0.2.7")], False),
        ("x", [x509.DNSName("by-name.example")], False),
    ],
)
async def test_a_name_has_a_role_as_what_it_is_listed_as(api, tmp_path, common_name, alternatives, listed):
    """Names match by type. The common name counts only if the certificate has no alternative names of any type."""
    async with (
        with_clients(api, tmp_path, TYPED) as secured,
        secured.channel(common_name, alternatives=alternatives) as channel,
    ):
        assert await Stubs(channel).sees("GetLink", messages.GetLinkRequest(link="deed-tax")) == listed


async def test_a_revoked_certificate_is_refused(api, tmp_path):
    """A certificate is refused, also in an open watch, once the renewed list has it. A broken list changes nothing."""
    lists = tmp_path / "revoked.pem"
    async with with_clients(api, tmp_path, client_crl=str(lists)) as secured:
        revoked, other = (secured.authority.client(name="audit.example") for _ in range(2))
        request = messages.GetLinkRequest(link="deed-tax")
        async with secured.channel(files=revoked) as channel, secured.channel(files=other) as unrevoked:
            stubs, others = Stubs(channel), Stubs(unrevoked)
            await stubs.indicators.GetLink(request)
            watch = stubs.indicators.WatchIndicators(
                messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT), timeout=DEADLINE
            )
            await watch.read()
            stranger = Authority.make(tmp_path, "Somebody Else")
            for unusable in (b"", b"half a li", stranger.revoking(other[0]), secured.authority.revoking()[:-60]):
                lists.write_bytes(unusable)
                await others.indicators.GetLink(request)
                assert "--client-crl" in str(secured.failed.pop())
                lists.write_bytes(secured.authority.revoking())  # a reason is told again after a usable list
                await others.indicators.GetLink(request)
            lists.write_bytes(secured.authority.revoking() + secured.authority.revoking(revoked[0]))
            for call in (stubs.indicators.GetLink(request), stubs.health.Check(health_pb2.HealthCheckRequest())):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "revoked" in str(refused.value.details())
            await others.indicators.GetLink(request)
            api.take_blocks(as_of=AS_OF + 300)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await watch.read()
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_first_end_of_the_lists_is_told(tmp_path):
    """The end is that of the list that expires first, and a renewed file is noticed."""
    authorities = [Authority.make(tmp_path, name) for name in ("One", "Two")]
    files = tmp_path / "revoked.pem", tmp_path / "ca.pem"
    files[1].write_bytes(b"".join(Path(one.reference.removeprefix("file:")).read_bytes() for one in authorities))
    files[0].write_bytes(authorities[0].revoking(days=2) + authorities[1].revoking(days=1))
    revocations = Revocations(*files, lambda _: None)
    assert abs(revocations.end() - time.time() - DAY) < DEADLINE
    files[0].write_bytes(authorities[0].revoking(days=2))
    assert abs(revocations.end() - time.time() - 2 * DAY) < DEADLINE


async def test_a_renewed_certificate_is_shown_without_a_restart(secured):
    """After the files change, the next handshake shows the new certificate. Broken files change nothing."""

    async def shown() -> bytes:
        certificate, key = secured.authority.client(name="audit.example")
        context = ssl.create_default_context(cafile=secured.settings.client_ca)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # since Python 3.13: these certificates have no key identifiers
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("127.0.0.1", secured.port, ssl=context)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    before = await shown()
    assert await shown() == before
    renew(secured.authority, secured.folder, days=60)
    renewed = await shown()
    assert renewed != before
    assert not secured.failed
    (secured.folder / "server.pem").write_text("half a certif")
    assert await shown() == renewed
    assert secured.failed


async def test_without_an_authority_everybody_is_the_public(api, tmp_path):
    """TLS without client certificates encrypts and gives no role."""
    authority = Authority.make(tmp_path)
    async with (
        serving(api, Secured(tmp_path, settings_with(tmp_path, authority), authority)) as one,
        one.channel() as channel,
    ):
        stubs = Stubs(channel)
        assert await stubs.sees(
            "GetIndicator", messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        )
        assert not await stubs.sees("GetLink", messages.GetLinkRequest(link="deed-tax"))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("clients:\n  - {dns: a, role: king}\n  - {dns: '', role: auditor}\n", ["clients.0.role", "clients.1.dns"]),
        ("clients:\n  - {role: auditor}\n", ["clients.0: Value error, a client has one name, as one of dns, uri"]),
        ("clients:\n  - {dns: a, uri: b, role: auditor}\n", ["a client has one name"]),
        ("clients:\n  - {ip: a, role: auditor}\n", ["clients.0.ip: value is not a valid IPv4 or IPv6 address"]),
        ("clients:\n  - {name: a, role: auditor}\n", ["clients.0.name: Extra inputs"]),
        ("clients:\n  - {dns: a, role: agency}\n", ["role agency, and no other, names an agency"]),
        ("clients:\n  - {dns: a, role: auditor, agency: b}\n", ["role agency, and no other, names an agency"]),
        ("clients:\n  - {dns: a, role: public}\n  - {dns: A, role: auditor}\n", ["dns a is listed more than once"]),
        ("clients:\n  - {dns: a, role: auditor, most: public}\n", ["role console, and no other, names the most"]),
        ("clients:\n  - {dns: a, role: console, most: king}\n", ["`king` is not public, agency:ID or auditor"]),
        ("clients:\n  - {dns: a, role: console, agency: b}\n", ["role agency, and no other, names an agency"]),
        ("clients: [", ["cannot be read"]),
        ("[" * 5000, ["cannot be read: it is nested too deeply"]),
        ("", ["the file: Input should be"]),
        ("roles: []\n", ["clients: Field required", "roles: Extra inputs"]),
    ],
)
def test_a_bad_list_of_clients_is_refused_whole(text, faults, tmp_path):
    """Every fault of clients.yaml is reported, and none of it is used."""
    file = tmp_path / "clients.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_clients(file)
    assert all(fault in str(refused.value) for fault in faults)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"certificate": "a.pem"}, "needs its key"),
        ({"key": "a.key"}, "needs its key"),
        ({"client_ca": "ca.pem"}, "need --certificate and --key"),
        ({"clients": "clients.yaml"}, "need --certificate and --key"),
        ({"client_crl": "revoked.pem"}, "need --certificate and --key"),
        ({"certificate": "a.pem", "key": "a.key"}, "cannot be read"),
    ],
)
def test_settings_that_do_not_go_together_are_one_sentence(settings, sentence):
    """The api does not start with a certificate without its key, with roles without TLS, or with a missing file."""
    with pytest.raises(SettingsError, match=sentence):
        credentials_from_settings(Settings(**settings), lambda _: None)


def test_files_that_are_no_certificates_are_named(tmp_path):
    """A certificate or an authority that is not PEM is reported with its flag, and so is a flag that lacks another."""
    authority = Authority.make(tmp_path)
    good = settings_with(tmp_path, authority)
    (tmp_path / "bad.pem").write_text("nothing")
    for change, flag in (
        ({"certificate": str(tmp_path / "bad.pem")}, "--certificate"),
        ({"client_ca": str(tmp_path / "bad.pem")}, "--client-ca"),
    ):
        with pytest.raises(SettingsError, match=flag):
            credentials_from_settings(replace(good, **cast(Any, change)), lambda _: None)
    with pytest.raises(SettingsError, match="--clients needs --client-ca"):
        identifier_from_settings(replace(good, clients="clients.yaml"))
    with pytest.raises(SettingsError, match="--client-crl needs --client-ca"):
        revocations_from_settings(replace(good, client_crl="revoked.pem"), lambda _: None)
