"""Probe kinds xroad-rest and xroad-soap against real servers."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from services.core.model.outcome import Reason
from services.core.model.probe import Expect, Probe
from services.prober.checks import explain
from tests.support.cases.probes.xroad_calls import CLIENT, thrice
from tests.support.servers.http_server import Request, answer, ask, says, serving


async def test_rest_says_who_asks() -> None:
    """A REST call carries the client with percent-encoded parts, the user and its own headers; its URL names the
    service.
    """
    async with serving(says(200, b"{}")) as server:
        result = await ask(
            server.url("/r1/IR/GOV/2002/registry/person/${code}"),
            kind="xroad-rest",
            client="IR/GOV/${member}/پرتال",
            user_id="IR0000000000",
            headers={"X-Road-Issue": "42", "x-road-client": "IR/GOV/9/other"},
            params={"code": "7", "member": "10/01"},
        )
    request = server.requests[0]
    assert result.judgement.reason is Reason.OK
    assert request.line == "GET /r1/IR/GOV/2002/registry/person/7 HTTP/1.1"
    assert [value for name, value in request.headers if name.lower() == "x-road-client"] == [
        "IR/GOV/10%2F01/%D9%BE%D8%B1%D8%AA%D8%A7%D9%84"
    ]
    assert (request.header("x-road-userid"), request.header("x-road-issue")) == ("IR0000000000", "42")


async def test_a_user_may_have_a_persian_name() -> None:
    """The user of a REST call is sent as UTF-8."""
    async with serving(says(200, b"{}")) as server:
        result = await ask(
            server.url(), kind="xroad-rest", client=CLIENT, user_id="${who}", params={"who": "علی رضایی"}
        )
    assert result.judgement.reason is Reason.OK
    assert (server.requests[0].header("x-road-userid") or "").encode("latin-1").decode() == "علی رضایی"


async def test_rest_without_a_user() -> None:
    """No user is sent when the definition names none."""
    async with serving(says(200, b"{}")) as server:
        await ask(server.url(), kind="xroad-rest", client="IR/GOV/1001")
    assert server.requests[0].header("x-road-userid") is None
    assert server.requests[0].header("x-road-client") == "IR/GOV/1001"


@pytest.mark.parametrize("redirects", ["follow", "none"])
async def test_every_rest_call_has_an_id_of_its_own(redirects: str) -> None:
    """Each probe of one target sends a new UUID."""
    async with serving(says(200, b"{}")) as server:
        await thrice(server.url(), Probe("test", "xroad-rest", client=CLIENT, redirects=redirects))
    ids = [request.header("x-road-id") for request in server.requests]
    assert len({UUID(number) for number in ids}) == 3


async def test_an_id_stays_with_its_call_over_redirects() -> None:
    """A redirected call keeps its id, its client and its body."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"{}") if request.path == "/end" else answer(308, b"", {"Location": "/end"}))

    async with serving(handle) as server:
        definition = Probe("test", "xroad-rest", method="POST", client=CLIENT, body='{"a": 1}')
        await thrice(server.url(), definition)
    seen = [(request.header("x-road-id"), request.header("x-road-client"), request.body) for request in server.requests]
    assert [first == second for first, second in zip(seen[::2], seen[1::2], strict=True)] == [True] * 3
    assert len({number for number, _, _ in seen}) == 3
    assert {(client, body) for _, client, body in seen} == {(CLIENT, b'{"a": 1}')}


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (500, {"X-Road-Error": "Server.ServerProxy.NetworkError"}, Reason.BUS_ERROR),
        (400, {"X-Road-Error": "Client.BadRequest"}, Reason.BUS_ERROR),
        (500, {"X-Road-Error": "Unheard.Of"}, Reason.BUS_ERROR),
        (500, {"X-Road-Error": "Server.ServerProxy.ServiceFailed.HttpError"}, Reason.SERVER_ERROR),
        (500, {"X-Road-Error": "server.serverproxy.service_failed.network_error"}, Reason.SERVER_ERROR),
        (500, {"X-Road-Error": "Server.ClientProxy.ServiceFailed.InvalidSoap"}, Reason.BUS_ERROR),
        (500, {"X-Road-Error": "Server.ServerProxy.AccessDenied"}, Reason.AUTH_REFUSED),
        (500, {"X-Road-Error": "Server.ServerProxy.ServiceDisabled"}, Reason.UNKNOWN_SERVICE),
        (500, {}, Reason.SERVER_ERROR),
        (404, {}, Reason.STATUS),
    ],
)
async def test_who_failed_a_rest_call(status: int, headers: dict[str, str], reason: Reason) -> None:
    """With X-Road-Error its code decides who failed, and an unknown code is the bus; without it the provider failed."""
    async with serving(says(status, b"{}", headers)) as server:
        result = await ask(server.url(), kind="xroad-rest", client=CLIENT)
    assert result.judgement.reason is reason


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (500, "Server.ServerProxy.AccessDenied", Reason.OK),
        (403, "", Reason.OK),
        (200, "", Reason.NOT_REFUSED),
        (404, "", Reason.NOT_REFUSED),
        (500, "", Reason.SERVER_ERROR),
        (500, "Server.ClientProxy.NetworkError", Reason.BUS_ERROR),
    ],
)
async def test_data_that_is_closed_to_an_agency(status: int, code: str, reason: Reason) -> None:
    """Where a refusal is expected, it is OK, an answer of any kind is NOT_REFUSED, and a failure keeps its reason."""
    async with serving(says(status, b"{}", {"X-Road-Error": code} if code else {})) as server:
        result = await ask(server.url(), Expect(refused=True), kind="xroad-rest", client=CLIENT)
    assert result.judgement.reason is reason
    check, *_ = explain(result.observation, result.expectations)
    assert check.reason is reason


async def test_an_error_of_the_bus_cannot_be_expected() -> None:
    """With X-Road-Error the bus failed, even when the status is one of those listed."""
    async with serving(says(500, b"{}", {"X-Road-Error": "Server.ServerProxy"})) as server:
        result = await ask(server.url(), Expect(status=(500,)), kind="xroad-rest", client=CLIENT)
    assert result.judgement.reason is Reason.BUS_ERROR
