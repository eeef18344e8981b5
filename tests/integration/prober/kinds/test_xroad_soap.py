"""Calls of X-Road over SOAP: who asks whom, and who failed."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from lxml import etree

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, Probe, XmlExpectation
from tests.support.cases.probes.xroad_calls import CLIENT, thrice
from tests.support.servers.http_server import Request, answer, ask, says, serving

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
SPACES = {"soap": SOAP, "xroad": XROAD, "id": IDENTIFIERS, "t": "urn:example:tax"}
SERVICE = "IR/GOV/2002/registry/getPerson/v1"
BODY = '<t:getPerson xmlns:t="urn:example:tax"><t:code>${code}</t:code></t:getPerson>'


def message(inside: str) -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{inside}</s:Body></s:Envelope>'.encode()


def fault(code: str) -> bytes:
    return message(f"<s:Fault><faultcode>{code}</faultcode><faultstring>0012345678</faultstring></s:Fault>")


ANSWER = message('<t:getPersonResponse xmlns:t="urn:example:tax"><t:name>علی</t:name></t:getPersonResponse>')


def parsed(request: Request) -> etree._Element:
    return etree.fromstring(request.body)


def found(request: Request, path: str) -> list[str]:
    return [element.text or "" for element in parsed(request).iterfind(path, SPACES)]


async def test_soap_says_who_asks_whom() -> None:
    """The envelope holds client, service, user and version as the protocol requires, and the body as given."""
    async with serving(says(200, ANSWER)) as server:
        result = await ask(
            server.url(),
            Expect(xml=(XmlExpectation("//t:name", "علي"),), namespaces=SPACES),
            kind="xroad-soap",
            client="IR/GOV/${member}/portal",
            service=SERVICE,
            user_id="IR0000000000",
            body=BODY,
            params={"member": "10&01", "code": "ک۷"},
        )
    request = server.requests[0]
    assert result.judgement.reason is Reason.OK
    assert (request.header("content-type"), request.header("soapaction")) == ("text/xml; charset=utf-8", '""')
    root = parsed(request)
    client, service = root.find(".//xroad:client", SPACES), root.find(".//xroad:service", SPACES)
    assert root.tag == f"{{{SOAP}}}Envelope"
    assert client is not None
    assert service is not None
    assert [(etree.QName(part).localname, part.text) for part in client] == [
        ("xRoadInstance", "IR"),
        ("memberClass", "GOV"),
        ("memberCode", "10&01"),
        ("subsystemCode", "portal"),
    ]
    assert [(etree.QName(part).localname, part.text) for part in service] == [
        ("xRoadInstance", "IR"),
        ("memberClass", "GOV"),
        ("memberCode", "2002"),
        ("subsystemCode", "registry"),
        ("serviceCode", "getPerson"),
        ("serviceVersion", "v1"),
    ]
    kinds = [element.get(f"{{{IDENTIFIERS}}}objectType") for element in (client, service)]
    assert kinds == ["SUBSYSTEM", "SERVICE"]
    assert {etree.QName(part).namespace for part in (*client, *service)} == {IDENTIFIERS}
    assert found(request, "soap:Header/xroad:protocolVersion") == ["4.0"]
    assert found(request, "soap:Header/xroad:userId") == ["IR0000000000"]
    assert found(request, "soap:Body/t:getPerson/t:code") == ["ک۷"]


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("IR/GOV/2002/getPerson", ["xRoadInstance", "memberClass", "memberCode", "serviceCode"]),
        (
            "IR/GOV/2002/registry/getPerson",
            ["xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode"],
        ),
    ],
)
async def test_members_without_subsystem_or_version(service: str, names: list[str]) -> None:
    """A member may be the client, and a service may belong to a member and have no version."""
    async with serving(says(200, ANSWER)) as server:
        await ask(server.url(), kind="xroad-soap", client="IR/GOV/1001", service=service, body="<getPerson/>")
    root = parsed(server.requests[0])
    client, called = root.find(".//xroad:client", SPACES), root.find(".//xroad:service", SPACES)
    assert client is not None
    assert called is not None
    assert client.get(f"{{{IDENTIFIERS}}}objectType") == "MEMBER"
    assert [etree.QName(part).localname for part in called] == names
    assert root.find(".//xroad:userId", SPACES) is None


@pytest.mark.parametrize("redirects", ["follow", "none"])
async def test_every_soap_call_has_an_id_of_its_own(redirects: str) -> None:
    """Each probe of one target sends a new UUID in its header, with everything else the same."""
    definition = Probe(
        "test", "xroad-soap", client=CLIENT, service=SERVICE, body=BODY, action="urn:a", redirects=redirects
    )
    async with serving(says(200, ANSWER)) as server:
        await thrice(server.url(), definition, {"code": "7"})
    ids = [found(request, "soap:Header/xroad:id")[0] for request in server.requests]
    assert len({UUID(number) for number in ids}) == 3
    same = {request.body.replace(number.encode(), b"") for request, number in zip(server.requests, ids, strict=True)}
    assert len(same) == 1
    assert {request.header("soapaction") for request in server.requests} == {'"urn:a"'}


async def test_a_soap_call_that_is_sent_elsewhere() -> None:
    """A redirect that keeps the method posts the same message again."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, ANSWER) if request.path == "/end" else answer(307, b"", {"Location": "/end"}))

    async with serving(handle) as server:
        await ask(server.url(), kind="xroad-soap", client=CLIENT, service=SERVICE, body="<getPerson/>")
    first, second = server.requests
    assert first.body == second.body


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("Server.ServerProxy.UnknownService", Reason.UNKNOWN_SERVICE),
        ("Server.ServerProxy.ServiceFailed.MissingBody", Reason.SERVER_ERROR),
        ("Server.ServerProxy.SslAuthenticationFailed", Reason.BUS_ERROR),
        ("Server.ServerProxy", Reason.BUS_ERROR),
        ("SOAP-ENV:Server.ServerProxy.AccessDenied", Reason.AUTH_REFUSED),
        ("Server.ClientProxy.NetworkError", Reason.BUS_ERROR),
        ("Client.MissingHeaderField", Reason.BUS_ERROR),
        ("SOAP-ENV:Client.Authentication", Reason.SOAP_FAULT),
        ("SOAP-ENV:Server", Reason.SOAP_FAULT),
        ("Server.ServerProxyless", Reason.SOAP_FAULT),
        ("Client", Reason.SOAP_FAULT),
        ("Server.Business", Reason.SOAP_FAULT),
    ],
)
async def test_who_failed_a_soap_call(code: str, reason: Reason) -> None:
    """The code of a security server decides who failed, any other fault is the provider's; the detail has no text."""
    async with serving(says(500, fault(code))) as server:
        result = await ask(server.url(), kind="xroad-soap", client=CLIENT, service=SERVICE, body="<getPerson/>")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert result.judgement.detail.endswith(f"fault {code}")


async def test_a_flag_of_the_bus_goes_before_a_fault() -> None:
    """X-Road-Error decides who failed, whatever fault comes with it."""
    async with serving(says(500, fault("SOAP-ENV:Server"), {"X-Road-Error": "Server.ServerProxy"})) as server:
        result = await ask(server.url(), kind="xroad-soap", client=CLIENT, service=SERVICE, body="<getPerson/>")
    assert result.judgement.reason is Reason.BUS_ERROR


@pytest.mark.parametrize(
    "wrong", [{"client": "IR/GOV"}, {"service": "IR/GOV/2002"}, {"client": "IR/GOV/${code}"}, {"body": "<getPerson>"}]
)
async def test_what_the_register_lets_by_is_our_own_failure(wrong: dict[str, str]) -> None:
    """Identifiers and bodies that no register accepts are UNKNOWN/PROBER_ERROR, never the target's failure."""
    made: dict[str, Any] = {"client": CLIENT, "service": SERVICE, "body": "<getPerson/>", **wrong}
    async with serving(says(200, ANSWER)) as server:
        result = await ask(server.url(), kind="xroad-soap", params={"code": ""}, **made)
    assert (result.judgement.reason, server.connections) == (Reason.PROBER_ERROR, 0)
