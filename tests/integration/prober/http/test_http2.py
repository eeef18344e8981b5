"""Probe kind http over HTTP/2 against real servers. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, HeaderExpectation, Patterns, Tls
from tests.support.servers.authority import Authority
from tests.support.servers.http2_server import Asked, Reply, ask2, replies, serving_http2
from tests.support.servers.http_server import says, serving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


async def test_07_08_the_request_arrives_as_set() -> None:
    """With prior knowledge over plain TCP: pseudo-headers, headers as set, none of HTTP/1.1, the body byte for byte."""
    async with serving_http2(replies(200, b"fine", [("x-from", "them")])) as server:
        result = await ask2(
            server.url("/tax?id=1"),
            Expect(headers={"X-From": HeaderExpectation("^them$")}, body=Patterns(must=("^fine$",))),
            method="POST",
            body='{"نام": "علی"}\r\n',
            headers={"Host": "tax.example", "X-Who": "me", "TE": "gzip", "Upgrade": "h2c"},
        )
    assert (result.judgement.reason, result.observation.protocol) == (Reason.OK, "HTTP/2")
    asked = server.requests[0]
    assert asked.pseudo == {"method": "POST", "scheme": "http", "authority": "tax.example", "path": "/tax?id=1"}
    assert asked.header("x-who") == "me"
    assert asked.header("user-agent") == "peyvand-prober/1"
    assert {"host", "connection", "transfer-encoding", "te", "upgrade"}.isdisjoint(name for name, _ in asked.headers)
    assert asked.body == '{"نام": "علی"}\r\n'.encode()
    assert ("x-from", "them") in result.observation.headers


async def test_07_values_of_headers_go_as_utf_8() -> None:
    """Over HTTP/2 too, values outside ASCII are sent as UTF-8."""
    async with serving_http2(replies(200)) as server:
        result = await ask2(server.url(), headers={"X-Agency": "ثبت", "X-Who": "${who}"}, params={"who": " رضا "})
    assert result.judgement.reason is Reason.OK
    values = [server.requests[0].header(name) or "" for name in ("x-agency", "x-who")]
    assert values == ["ثبت", "رضا"]


async def test_08_a_body_larger_than_the_servers_windows_arrives_whole() -> None:
    """A request body waits for the server's windows and arrives complete."""
    body = "0123456789abcdef" * 16_000
    async with serving_http2(replies()) as server:
        result = await ask2(server.url(), method="POST", body=body)
    assert result.judgement.reason is Reason.OK
    assert server.requests[0].body == body.encode()


async def test_http2_is_agreed_on_over_tls(authority: Authority) -> None:
    """Over TLS only h2 is offered and negotiated; TLS facts and verification are those of HTTP/1.1."""
    async with serving_http2(replies(200, b"fine"), tls=authority.context("127.0.0.1")) as server:
        result = await ask2(server.url(), Expect(tls=True), tls=Tls(ca=authority.reference))
        untrusted = await ask2(server.url())
    assert (result.judgement.reason, server.agreed[0]) == (Reason.OK, "h2")
    assert result.observation.tls_version.startswith("TLSv1.")
    assert result.observation.certificate is not None
    assert untrusted.judgement.reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(server.requests) == 1


async def test_a_server_that_does_not_agree(authority: Authority) -> None:
    """A server that continues without HTTP/2, and one that refuses the handshake for it, are PROTOCOL_ERROR."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"\x15\x03\x03\x00\x02\x02\x78")  # the alert no_application_protocol
        writer.close()

    listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with serving(says(), tls=authority.context("127.0.0.1")) as server, listener:
        without = await ask2(server.url(), tls=Tls(ca=authority.reference))
        refused = await ask2(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")
    for result in (without, refused):
        assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.PROTOCOL_ERROR)
        assert "does not agree" in result.judgement.detail
    assert server.requests == []


@pytest.mark.parametrize("secure", [False, True])
async def test_14_large_bodies_arrive_whole_up_to_their_limit(authority: Authority, secure: bool) -> None:
    """A body of many windows arrives complete; one byte above the limit is BODY_LIMIT, with the status known."""
    body = bytes(range(256)) * 12_000
    tls = authority.context("127.0.0.1") if secure else None
    async with serving_http2(replies(200, body), tls=tls) as server:
        whole = await ask2(server.url(), body_limit=len(body), tls=Tls(ca=authority.reference))
        above = await ask2(server.url(), body_limit=len(body) - 1, tls=Tls(ca=authority.reference))
    assert (whole.judgement.reason, whole.observation.body) == (Reason.OK, body)
    assert (above.judgement.reason, above.observation.status) == (Reason.BODY_LIMIT, 200)


async def test_03_06_redirects_and_cookies() -> None:
    """Redirects are followed over HTTP/2, each over its own connection, with the cookies set by earlier answers."""

    async def handle(asked: Asked, reply: Reply) -> None:
        if asked.path == "/start":
            reply.headers(302, [("location", "/end"), ("set-cookie", "session=s1; Path=/")], end=True)
        else:
            reply.headers(200 if asked.header("cookie") == "session=s1" else 400, end=True)

    async with serving_http2(handle) as server:
        result = await ask2(server.url("/start"))
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 1)
    assert (server.connections, result.observation.protocol) == (2, "HTTP/2")


async def test_10_bodies_are_decoded_when_asked() -> None:
    """A compressed body is decoded as with HTTP/1.1; both lengths are reported."""
    packed = gzip.compress(b"clear " * 50)
    async with serving_http2(replies(200, packed, [("content-encoding", "gzip")])) as server:
        result = await ask2(server.url(), Expect(body=Patterns(must=("^clear ",))), headers={"Accept-Encoding": "gzip"})
    assert result.judgement.reason is Reason.OK
    assert (result.observation.raw_length, result.observation.body_length) == (len(packed), 300)


async def test_head_has_no_body() -> None:
    """The answer to HEAD ends with its headers, whatever Content-Length they state."""

    async def handle(_: Asked, reply: Reply) -> None:
        reply.headers(200, [("content-length", "1000")])

    async with serving_http2(handle) as server:
        result = await ask2(server.url(), method="HEAD")
    assert (result.judgement.reason, result.observation.raw_length) == (Reason.OK, 0)
    assert server.requests[0].pseudo["method"] == "HEAD"


async def test_interim_answers_are_skipped_and_trailers_end_an_answer() -> None:
    """An early hint is not the answer; an answer with trailers is complete."""

    async def handle(_: Asked, reply: Reply) -> None:
        reply.headers(103, [("link", "</style.css>")])
        reply.headers(200, [("x-real", "yes")])
        await reply.data(b"all", end=False)
        reply.trailers([("x-checksum", "1")])

    async with serving_http2(handle) as server:
        result = await ask2(server.url(), Expect(body=Patterns(must=("^all$",))))
    assert (result.judgement.reason, result.observation.status) == (Reason.OK, 200)
    assert result.observation.headers == (("x-real", "yes"),)


async def test_29_each_phase_once() -> None:
    """A plain probe has the phases connect, processing and transfer; frames before the answer are not the answer."""

    async def handle(_: Asked, reply: Reply) -> None:
        await asyncio.sleep(0.03)
        reply.headers(200)
        await reply.data(b"x" * 100_000)

    async with serving_http2(handle) as server:
        result = await ask2(server.url())
    phases, observation = result.observation.phases, result.observation
    assert (phases.resolve, phases.tls) == (None, None)
    assert phases.processing is not None
    assert phases.processing > 0.02
    assert observation.latency == pytest.approx(phases.processing + (phases.transfer or 0))
