"""Probe kind soap against real servers."""

from __future__ import annotations

import asyncio

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Auth, Expect, FreshnessSource, HeaderExpectation, Patterns, XmlExpectation
from tests.support.servers.http_server import Request, answer, ask, forever, says, serving

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
TAX = "urn:example:tax"
SPACES = {"t": TAX}


def envelope(inside: str, uri: str = SOAP11) -> bytes:
    return f'<e:Envelope xmlns:e="{uri}"><e:Body>{inside}</e:Body></e:Envelope>'.encode()


QUESTION = envelope(f'<q:ask xmlns:q="{TAX}">${{code}}</q:ask>').decode()
ANSWER = envelope(f'<a:answer xmlns:a="{TAX}" clear="true"><a:name>علی</a:name><a:sum>3</a:sum></a:answer>')
FAULT11 = envelope("<e:Fault><faultcode>e:Server</faultcode><faultstring>0012345678 is unknown</faultstring></e:Fault>")
FAULT12 = envelope(
    "<e:Fault><e:Code><e:Value>e:Receiver</e:Value><e:Subcode><e:Value>Busy</e:Value></e:Subcode></e:Code>"
    "<e:Reason><e:Text>0012345678 is unknown</e:Text></e:Reason></e:Fault>",
    SOAP12,
)


@pytest.mark.parametrize("action", ["", "urn:ask"])
async def test_a_message_of_soap_11_is_posted(action: str) -> None:
    """The envelope is posted byte for byte, params filled in, as text/xml with the quoted SOAPAction, empty allowed."""
    async with serving(says(200, ANSWER)) as server:
        result = await ask(server.url("/tax"), kind="soap", body=QUESTION, action=action, params={"code": "ک۱"})
    request = server.requests[0]
    assert result.judgement.reason is Reason.OK
    assert request.line == "POST /tax HTTP/1.1"
    assert request.body == QUESTION.replace("${code}", "ک۱").encode()
    assert request.header("content-type") == "text/xml; charset=utf-8"
    assert request.header("soapaction") == f'"{action}"'


@pytest.mark.parametrize(
    ("action", "content_type"),
    [
        ("", "application/soap+xml; charset=utf-8"),
        ("urn:ask", 'application/soap+xml; charset=utf-8; action="urn:ask"'),
    ],
)
async def test_a_message_of_soap_12_is_posted(action: str, content_type: str) -> None:
    """SOAP 1.2 has its own media type, which carries the action, and no SOAPAction."""
    async with serving(says(200, envelope("<a/>", SOAP12))) as server:
        result = await ask(server.url(), kind="soap", soap="1.2", body=envelope("<q/>", SOAP12).decode(), action=action)
    assert result.judgement.reason is Reason.OK
    assert server.requests[0].header("content-type") == content_type
    assert server.requests[0].header("soapaction") is None


async def test_headers_of_the_definition_go_first() -> None:
    """A header of the definition is sent as it is, once, and a credential is sent as with http."""
    async with serving(says(200, ANSWER)) as server:
        await ask(
            server.url(),
            kind="soap",
            body="<q/>",
            headers={"content-type": "text/xml", "X-Who": "me"},
            auth=Auth("basic", username="u", password="file:/proc/sys/kernel/ostype"),
        )
    request = server.requests[0]
    assert [value for name, value in request.headers if name.lower() == "content-type"] == ["text/xml"]
    assert request.header("x-who") == "me"
    assert (request.header("authorization") or "").startswith("Basic ")


@pytest.mark.parametrize("status", [200, 400, 401, 500, 503])
@pytest.mark.parametrize(("fault", "code"), [(FAULT11, "e:Server"), (FAULT12, "e:Receiver/Busy")])
async def test_a_fault_is_no_answer_whatever_its_status(status: int, fault: bytes, code: str) -> None:
    """A fault of either version is NOT_ANSWERED/SOAP_FAULT at any status; the detail has its code, never its text."""
    async with serving(says(status, fault)) as server:
        result = await ask(server.url(), Expect(status=(200, 500)), kind="soap", body="<q/>")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.SOAP_FAULT)
    assert result.judgement.detail == f"SOAP fault {code}"


async def test_a_code_that_may_hold_anything_is_not_told() -> None:
    """A fault code that is not a code is left out of the detail."""
    fault = FAULT11.replace(b"e:Server", "علی, 0012345678".encode())
    async with serving(says(500, fault)) as server:
        result = await ask(server.url(), kind="soap", body="<q/>")
    assert result.judgement.reason is Reason.SOAP_FAULT
    assert result.judgement.detail == "SOAP fault without a readable code"


async def test_codes_of_the_bus_mean_nothing_without_it() -> None:
    """Outside X-Road a code that looks like one of X-Road is a fault like any other."""
    async with serving(says(500, FAULT11.replace(b"e:Server", b"Server.ServerProxy.AccessDenied"))) as server:
        result = await ask(server.url(), kind="soap", body="<q/>")
    assert result.judgement.reason is Reason.SOAP_FAULT


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"<html>sorry</html>", Reason.SERVER_ERROR),
        (500, b"", Reason.SERVER_ERROR),
        (500, ANSWER, Reason.SERVER_ERROR),
        (401, b"", Reason.AUTH_REFUSED),
        (404, b"not here", Reason.STATUS),
        (200, b"", Reason.XML),
        (200, b"<html>log in", Reason.XML),
        (200, b"<html>log in</html>", Reason.XML),
        (200, f'<e:Envelope xmlns:e="{SOAP11}"/>'.encode(), Reason.XML),
        (200, envelope("").replace(SOAP11.encode(), b"urn:other"), Reason.XML),
        (200, b'{"json": true}', Reason.XML),
        (200, envelope(f'<x><f:Fault xmlns:f="{SOAP11}"/></x>'), Reason.OK),
        (200, envelope("<Fault/>"), Reason.OK),
    ],
)
async def test_what_is_no_fault(status: int, body: bytes, reason: Reason) -> None:
    """Without a fault the status decides, then whether there is a SOAP message; Fault elsewhere is not a fault."""
    async with serving(says(status, body)) as server:
        result = await ask(server.url(), kind="soap", body="<q/>")
    assert result.judgement.reason is reason


@pytest.mark.parametrize(
    ("expect", "reason", "detail"),
    [
        (Expect(xml=(XmlExpectation("//t:answer"),), namespaces=SPACES), Reason.OK, ""),
        (Expect(xml=(XmlExpectation("//t:name", "${name}"),), namespaces=SPACES), Reason.OK, ""),
        (Expect(xml=(XmlExpectation("//t:none"),), namespaces=SPACES), Reason.XML, "//t:none finds nothing"),
        (
            Expect(xml=(XmlExpectation("//t:sum", "4"),), namespaces=SPACES),
            Reason.XML,
            "//t:sum differs from what is expected",
        ),
        (Expect(record={"//t:name": "${name}", "//t:sum": 3, "//@clear": True}, namespaces=SPACES), Reason.OK, ""),
        (
            Expect(record={"//t:name": "${other}"}, namespaces=SPACES),
            Reason.TEST_RECORD,
            "//t:name differs from what is expected",
        ),
        (Expect(record={"//t:age": 7}, namespaces=SPACES), Reason.TEST_RECORD, "//t:age finds nothing"),
        (Expect(body=Patterns(must_not=("علی",))), Reason.BODY, "the body matches the forbidden علی"),
        (Expect(headers={"x-a": HeaderExpectation("b")}), Reason.HEADER, "header x-a is absent"),
        (
            Expect(fresh=FreshnessSource(header="x-a")),
            Reason.AGE_UNREADABLE,
            "the answer does not state the age of its data",
        ),
    ],
)
async def test_what_an_answer_must_hold(expect: Expect, reason: Reason, detail: str) -> None:
    """XPaths, the test record and all other expectations of http are judged, filled in, without showing values."""
    async with serving(says(200, ANSWER)) as server:
        result = await ask(server.url(), expect, kind="soap", body="<q/>", params={"name": "علي", "other": "رضا"})
    assert (result.judgement.reason, result.judgement.detail) == (reason, detail)


async def test_an_answer_over_its_limit() -> None:
    """A SOAP answer that is too long is BODY_LIMIT, though its beginning may be XML without a fault."""
    async with serving(says(200, ANSWER)) as server:
        result = await ask(server.url(), kind="soap", body="<q/>", body_limit=len(ANSWER) - 1)
    assert result.judgement.reason is Reason.BODY_LIMIT


async def test_a_message_is_sent_on_where_it_is_sent_to() -> None:
    """A redirect that keeps the method posts the message again."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, ANSWER) if request.path == "/end" else answer(307, b"", {"Location": "/end"}))

    async with serving(handle) as server:
        result = await ask(server.url(), kind="soap", body="<q/>", action="urn:ask")
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 1)
    assert [(request.body, request.header("soapaction")) for request in server.requests] == [(b"<q/>", '"urn:ask"')] * 2


async def test_a_service_that_never_answers() -> None:
    """A hung service is ANSWER_TIMEOUT, as with http."""
    async with serving(forever) as server:
        result = await ask(server.url(), kind="soap", body="<q/>", timeout=0.3)
    assert result.judgement.reason is Reason.ANSWER_TIMEOUT
