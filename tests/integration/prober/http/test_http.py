"""Probe kind http against real servers: statuses, redirects, what is sent. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, Patterns
from tests.support.servers.http_server import Request, answer, ask, says, serving


@pytest.mark.parametrize(
    ("status", "reason"), [(200, Reason.OK), (204, Reason.OK), (404, Reason.STATUS), (304, Reason.STATUS)]
)
async def test_01_only_2xx_passes_by_default(status: int, reason: Reason) -> None:
    """Without listed statuses a 2xx answer is OK and any other is INVALID/STATUS."""
    async with serving(says(status)) as server:
        result = await ask(server.url())
    assert result.judgement.reason is reason
    assert result.observation.status == status


@pytest.mark.parametrize(
    ("status", "reason"), [(404, Reason.OK), (503, Reason.OK), (401, Reason.OK), (200, Reason.STATUS)]
)
async def test_02_listed_statuses_replace_the_default(status: int, reason: Reason) -> None:
    """Listed statuses pass, even those that would mean a failure, and 200 fails when it is not listed."""
    async with serving(says(status)) as server:
        result = await ask(server.url(), Expect(status=(404, 503, 401)))
    assert result.judgement.reason is reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((status, Reason.SERVER_ERROR) for status in (408, 429, 500, 503)),
        *((status, Reason.AUTH_REFUSED) for status in (401, 403)),
    ],
)
async def test_no_proper_answer(status: int, reason: Reason) -> None:
    """A server error, a server that is too busy and a refusal of our credential are NOT_ANSWERED, by their reasons."""
    async with serving(says(status, b"sorry")) as server:
        result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)


@pytest.mark.parametrize(("status", "reason"), [(200, Reason.OK), (500, Reason.SERVER_ERROR)])
async def test_no_bus_no_bus_error(status: int, reason: Reason) -> None:
    """X-Road-Error has a meaning for probes over the bus only; elsewhere the target itself answered."""
    async with serving(says(status, b"{}", {"X-Road-Error": "Server.ServerProxy"})) as server:
        result = await ask(server.url())
    assert result.judgement.reason is reason


async def _maze(request: Request, writer: asyncio.StreamWriter) -> None:
    """/3 redirects to /2, /2 to /1, /1 to /0, which answers; /loop redirects to itself."""
    step = request.path.strip("/")
    if step == "0":
        writer.write(answer(200, b"arrived"))
    else:
        there = "/loop" if step == "loop" else f"/{int(step) - 1}"
        writer.write(answer(302, b"elsewhere", {"Location": there}))


async def test_03_redirects_are_followed_and_counted() -> None:
    """Redirects are followed, each over a connection of its own, and counted; the last answer is judged."""
    async with serving(_maze) as server:
        result = await ask(server.url("/3"), Expect(body=Patterns(must=("arrived",))))
    assert result.judgement.reason is Reason.OK
    assert (result.observation.redirects, server.connections) == (3, 4)
    assert result.observation.addresses == ("127.0.0.1",) * 4


async def test_03_ten_redirects_pass() -> None:
    """Ten redirects are allowed."""
    async with serving(_maze) as server:
        result = await ask(server.url("/10"))
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 10)


async def test_04_redirects_not_followed() -> None:
    """With redirects: none a listed 302 passes, and no further request is made."""
    async with serving(_maze) as server:
        result = await ask(server.url("/3"), Expect(status=(302,)), redirects="none")
    assert (result.judgement.reason, result.observation.redirects, server.connections) == (Reason.OK, 0, 1)


async def test_05_a_loop_ends_after_ten() -> None:
    """A redirect loop ends after ten redirects, as INVALID/TOO_MANY_REDIRECTS."""
    async with serving(_maze) as server:
        result = await ask(server.url("/loop"))
    assert result.judgement.reason is Reason.TOO_MANY_REDIRECTS
    assert server.connections == 11


async def test_05_what_fails_behind_a_redirect_is_judged() -> None:
    """An answer behind a redirect that is too long is BODY_LIMIT, not the redirect's status."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"x" * 101) if request.path == "/end" else answer(302, b"", {"Location": "/end"}))

    async with serving(handle) as server:
        result = await ask(server.url(), body_limit=100)
    assert (result.judgement.reason, result.observation.status) == (Reason.BODY_LIMIT, 200)


async def test_06_cookies_set_on_the_way_are_sent_on() -> None:
    """A cookie set by a redirect is sent with the next request, and the next probe starts without it."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/start":
            writer.write(answer(302, b"", {"Location": "/end", "Set-Cookie": "session=s1; Path=/"}))
        else:
            writer.write(answer(200 if request.header("cookie") == "session=s1" else 400))

    async with serving(handle) as server:
        for _ in range(2):
            result = await ask(server.url("/start"))
            assert result.judgement.reason is Reason.OK
    assert [request.header("cookie") for request in server.requests] == [None, "session=s1"] * 2


async def test_06_a_cookie_set_on_the_way_replaces_the_definitions() -> None:
    """A redirect within the origin keeps the definition's cookies, except one that it sets again."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        there = {"/start": "/middle", "/middle": "/end"}.get(request.path)
        headers = {"Location": there, "Set-Cookie": "a=2; Path=/"} if there else {}
        writer.write(answer(302 if there else 200, b"", headers))

    async with serving(handle) as server:
        await ask(server.url("/start"), headers={"Cookie": "a=1; b=1"})
    assert [request.header("cookie") for request in server.requests] == ["a=1; b=1", "b=1; a=2", "b=1; a=2"]


@pytest.mark.parametrize("city", ["شهر=تهران".encode(), b"caf\xe9=1"])
async def test_06_a_cookie_outside_ascii_is_sent_on(city: bytes) -> None:
    """A cookie set by a redirect in UTF-8 or Latin-1 is sent with the next request, in UTF-8, whatever other headers hold."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/start":
            lines = b"HTTP/1.1 302 Found", b"Location: /end", b"X-Bytes: \xe9", b"Set-Cookie: " + city + b"; Path=/"
            writer.write(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]))
        else:
            writer.write(answer())

    async with serving(handle) as server:
        result = await ask(server.url("/start"), headers={"X-Who": "me"})
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 1)
    sent = (server.requests[1].header("cookie") or "").encode("latin-1").decode()
    assert sent == ("café=1" if b"caf" in city else city.decode())


async def test_07_headers_arrive_as_set() -> None:
    """Host, User-Agent and other headers arrive as the definition sets them, filled from params, each once."""
    async with serving(says()) as server:
        await ask(
            server.url(),
            headers={"Host": "tax.example", "User-Agent": "monitor/9", "X-Who": "${who}", "Accept": "application/json"},
            params={"who": "me"},
        )
    request = server.requests[0]
    for name, value in {
        "host": "tax.example",
        "user-agent": "monitor/9",
        "x-who": "me",
        "accept": "application/json",
    }.items():
        assert [given for header, given in request.headers if header.lower() == name] == [value]


async def test_07_values_of_headers_go_as_utf_8() -> None:
    """Values outside ASCII are sent as UTF-8, those of a cookie over a redirect too."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(302, b"", {"Location": "/end"}) if request.path == "/" else answer())

    async with serving(handle) as server:
        result = await ask(
            server.url(),
            headers={"X-Agency": "ثبت\u200cاحوال", "X-Who": " ${who} ", "Cookie": "who=علی"},
            params={"who": "رضا"},
        )
    assert result.judgement.reason is Reason.OK
    for request in server.requests:
        sent = {name.lower(): value.encode("latin-1").decode() for name, value in request.headers}
        assert (sent["x-agency"], sent["x-who"], sent["cookie"]) == ("ثبت\u200cاحوال", "رضا", "who=علی")
    assert len(server.requests) == 2


async def test_08_the_body_arrives_byte_for_byte() -> None:
    """A body with Persian text and line breaks arrives as written, params filled in, with its length."""
    async with serving(says()) as server:
        await ask(server.url("/inquiry"), method="POST", body='{"نام":\r\n "${name}"}\n', params={"name": "علی"})
    request = server.requests[0]
    assert request.line == "POST /inquiry HTTP/1.1"
    assert request.body == '{"نام":\r\n "علی"}\n'.encode()


async def test_09_the_scheme_is_case_insensitive() -> None:
    """The scheme HTTP:// equals http://."""
    async with serving(says()) as server:
        result = await ask(server.url().replace("http", "HTTP"))
    assert result.judgement.reason is Reason.OK
