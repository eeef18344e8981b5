"""Roles by certificate over TLS, on a real server with certificates of our own."""

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
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc, register_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import register_service_pb2 as register_messages
from services.api.access.callers import identifier_from_settings, read_clients
from services.api.access.certificates import credentials_from_settings
from services.api.access.revocation import Revocations, revocations_from_settings
from services.api.access.roles import PUBLIC, RULES, UNRESTRICTED, Caller, Role
from services.core.errors import SettingsError
from services.core.model.indicator import IndicatorKind
from services.core.settings import Settings
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.api.secured import OF_TAX, Secured, renew, serving, settings_with, with_clients
from tests.support.servers.authority import Authority
from tests.support.waiting import DEADLINE

DAY = 86_400


@pytest.fixture(autouse=True)
def _looking_always(monkeypatch):
    """Let changes of files be noticed at once."""
    for module in ("certificates", "revocation"):
        monkeypatch.setattr(f"services.api.access.{module}._LOOK_SECONDS", 0.0)


class Stubs:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.indicators = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        self.registers = register_service_pb2_grpc.RegisterServiceStub(channel)
        self.health: Any = health_pb2_grpc.HealthStub(channel)

    async def sees(self, method: str, request: object) -> bool:
        """Whether a call is admitted; it may then fail for another reason."""
        stub = self.registers if hasattr(self.registers, method) else self.indicators
        call = getattr(stub, method)(request, timeout=DEADLINE)
        try:
            await (call.read() if hasattr(call, "read") else call)
        except grpc.aio.AioRpcError as error:
            info = error_details_pb2.ErrorInfo()
            rpc_status.from_call(cast(Any, error)).details[0].Unpack(info)
            return (error.code(), info.reason) != (grpc.StatusCode.PERMISSION_DENIED, "NOT_VISIBLE")
        call.cancel()
        return True


def _about(kind: IndicatorKind, entity: str) -> dict[str, object]:
    return {
        "GetIndicator": messages.GetIndicatorRequest(kind=indicator_pb2.IndicatorKind.ValueType(kind), id=entity),
        "ExplainIndicator": messages.ExplainIndicatorRequest(
            kind=indicator_pb2.IndicatorKind.ValueType(kind), id=entity
        ),
        "WatchIndicators": messages.WatchIndicatorsRequest(
            kind=indicator_pb2.IndicatorKind.ValueType(kind), ids=[entity]
        ),
    }


async def _rights(stubs: Stubs) -> dict[str, bool]:
    """Whether each call is admitted, by its name."""
    questions = {
        "agency": _about(IndicatorKind.PROVIDER, "customs")["GetIndicator"],
        "own service": _about(IndicatorKind.SERVICE, "tax-clearance")["GetIndicator"],
        "other service": _about(IndicatorKind.SERVICE, "title-deed")["GetIndicator"],
        "link as provider": _about(IndicatorKind.LINK, "deed-tax")["GetIndicator"],
        "other link": _about(IndicatorKind.LINK, "deed-civil")["GetIndicator"],
        "own endpoint": _about(IndicatorKind.ENDPOINT, "portal")["GetIndicator"],
        "other endpoint": _about(IndicatorKind.ENDPOINT, "bus")["GetIndicator"],
    }
    found = {name: await stubs.sees("GetIndicator", request) for name, request in questions.items()}
    for name, link in (("link as provider", "deed-tax"), ("other link", "deed-civil")):
        assert await stubs.sees("GetLink", messages.GetLinkRequest(link=link)) == found[name]
        watch = _about(IndicatorKind.LINK, link)["WatchIndicators"]
        assert await stubs.sees("WatchIndicators", watch) == found[name]
    return found


async def test_the_public_sees_agencies_and_above(secured):
    """A certificate without a role sees government, sectors and agencies, nothing below and no link."""
    async with secured.channel("anybody.example") as channel:
        stubs = Stubs(channel)
        rights = await _rights(stubs)
        assert [name for name, seen in rights.items() if seen] == ["agency"]
        for method, request in _about(IndicatorKind.GOVERNMENT, "country").items():
            assert await stubs.sees(method, request)
        explained = await stubs.indicators.ExplainIndicator(
            messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        )
        assert explained.providers
        assert not explained.links
        for method, request in (
            ("ListLinks", messages.ListLinksRequest()),
            ("ListServices", register_messages.ListServicesRequest()),
            ("ListIndicators", messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)),
            ("WatchIndicators", messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE)),
            ("GetHistory", messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE, id="title-deed")),
        ):
            assert not await stubs.sees(method, request), method
        for method, request in (
            ("ListIndicators", messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER)),
            ("ListAgencies", register_messages.ListAgenciesRequest()),
            ("GetRegister", register_messages.GetRegisterRequest()),
            ("GetMonitoring", messages.GetMonitoringRequest()),
            ("TabulateIndicators", messages.TabulateIndicatorsRequest(attribute=messages.TABULATED_ATTRIBUTE_SECTOR)),
        ):
            assert await stubs.sees(method, request), method


async def test_an_agency_sees_its_own_besides(secured):
    """An agency sees its services and endpoints, and links as consumer and as provider; lists hold these and no other."""
    async with secured.channel("tax.example") as channel:
        stubs = Stubs(channel)
        rights = await _rights(stubs)
        assert {name for name, seen in rights.items() if not seen} == {"other service", "other link", "other endpoint"}
        links = await stubs.indicators.ListLinks(messages.ListLinksRequest())
        assert {one.link.id for one in links.links} == OF_TAX
        listed = await stubs.indicators.ListIndicators(
            messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)
        )
        assert {one.id for one in listed.indicators} == OF_TAX
        services = await stubs.registers.ListServices(register_messages.ListServicesRequest())
        assert [one.id for one in services.services] == ["tax-clearance"]
        explained = await stubs.indicators.ExplainIndicator(
            messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, limit=100)
        )
        assert {one.link.id for one in explained.links} == OF_TAX
        watch = stubs.indicators.WatchIndicators(
            messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK), timeout=DEADLINE
        )
        seen = [cast(messages.WatchIndicatorsResponse, await watch.read()) for _ in OF_TAX]
        assert {one.indicator.id for one in seen} == OF_TAX
        watch.cancel()


async def test_an_agency_does_not_learn_which_services_of_others_exist(secured):
    """Links of a service without one that the agency sees are refused as those of a service that does not exist."""
    async with secured.channel("tax.example") as channel:
        stub = Stubs(channel).indicators

        async def answer(service):
            try:
                found = await stub.ListLinks(messages.ListLinksRequest(service=service), timeout=DEADLINE)
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details(), tuple(error.trailing_metadata() or ())
            return {one.link.id for one in found.links}

        assert await answer("title-transfer") == await answer("no-such-service")
        assert (await answer("title-transfer"))[0] is grpc.StatusCode.PERMISSION_DENIED
        assert await answer("title-deed") == {"deed-tax"}  # the tax office is its provider
        assert await answer("tax-clearance") == {"clearance-land", "clearance-customs"}


async def test_an_agency_without_anything_watches_nothing(secured):
    """Without anything of its own, an agency's watch of a whole kind is refused."""
    async with secured.channel("nowhere.example") as channel:
        stubs = Stubs(channel)
        assert not await stubs.sees(
            "WatchIndicators", messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)
        )
        assert not (await stubs.indicators.ListLinks(messages.ListLinksRequest())).links


async def test_an_auditor_sees_everything(secured):
    """An auditor may make every call."""
    async with secured.channel("audit.example") as channel:
        stubs = Stubs(channel)
        assert all((await _rights(stubs)).values())
        assert len((await stubs.indicators.ListLinks(messages.ListLinksRequest())).links) == 8


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
    """A name counts by its type, and the common name only of a certificate without alternative names of any type."""
    async with (
        with_clients(api, tmp_path, TYPED) as secured,
        secured.channel(common_name, alternatives=alternatives) as channel,
    ):
        assert await Stubs(channel).sees("GetLink", messages.GetLinkRequest(link="deed-tax")) == listed


async def test_a_revoked_certificate_is_refused(api, tmp_path):
    """A certificate in the list is refused from the list's renewal on, an open watch included; a broken list changes nothing."""
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
                secured.failed.clear()
                await others.indicators.GetLink(request)
                assert "--client-crl" in str(secured.failed[0])
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
    """Of several lists the first that is outdated counts, and a renewed file is noticed."""
    authorities = [Authority.make(tmp_path, name) for name in ("One", "Two")]
    files = tmp_path / "revoked.pem", tmp_path / "ca.pem"
    files[1].write_bytes(b"".join(Path(one.reference.removeprefix("file:")).read_bytes() for one in authorities))
    files[0].write_bytes(authorities[0].revoking(days=2) + authorities[1].revoking(days=1))
    revocations = Revocations(*files, lambda _: None)
    assert abs(revocations.end() - time.time() - DAY) < DEADLINE
    files[0].write_bytes(authorities[0].revoking(days=2))
    assert abs(revocations.end() - time.time() - 2 * DAY) < DEADLINE


async def test_a_renewed_certificate_is_shown_without_a_restart(secured):
    """After the files change the next handshake shows the new certificate; broken files change nothing."""

    async def shown() -> bytes:
        certificate, key = secured.authority.client(name="audit.example")
        context = ssl.create_default_context(cafile=secured.settings.client_ca)
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


def test_every_method_has_its_rule():
    """Every method that is served has a rule, and every rule a method."""
    files = (messages, register_messages, health_pb2, reflection_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    assert {method.name for service in services for method in service.methods} - {"List"} == set(RULES)


def test_unknown_entities_belong_to_no_agency(register):
    """An entity that the register does not have is visible to auditors alone, whatever its kind."""
    for kind in (IndicatorKind.SERVICE, IndicatorKind.LINK, IndicatorKind.ENDPOINT):
        assert UNRESTRICTED.sees(kind, "gone", register)
        assert not Caller(Role.AGENCY, "tax-office").sees(kind, "gone", register)
        assert not PUBLIC.sees(kind, "gone", register)
    assert int(indicator_pb2.INDICATOR_KIND_LINK) == IndicatorKind.LINK


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
    """A certificate without key, roles without TLS or a missing file: the api does not start."""
    with pytest.raises(SettingsError, match=sentence):
        credentials_from_settings(Settings(**settings), lambda _: None)


def test_files_that_are_no_certificates_are_named(tmp_path):
    """Text that is no PEM, and an authority that is none, are reported with the flag that named them."""
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
