"""Probes over an HTTP proxy, a process of its own (docs/probing.md §1 and §4)."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Auth, Capture, Probe, Proxy, Step, Tls
from services.prober.kinds.kind import ProbeEnvironment
from tests.support.cases.probes.proxied import authority, environment, judged, proxy
from tests.support.servers.authority import Authority
from tests.support.servers.egress_trap import leading
from tests.support.servers.http2_server import replies, serving_http2
from tests.support.servers.http_server import Request, answer, ask, says, serving
from tests.support.servers.line_server import says_in_turn, talking
from tests.support.servers.proxy_server import proxying

__all__ = ["authority", "environment", "proxy"]  # fixtures


async def test_a_plain_request_is_forwarded(environment: ProbeEnvironment) -> None:
    """The proxy gets the whole URL, and the target a request without the proxy's part; the address is the proxy's."""
    async with proxying() as proxy, serving(says(200, b"fine")) as server:
        result = await ask(
            server.url("/a?b=c", host="tax.test"),
            environment=environment,
            method="POST",
            body="x",
            proxy=Proxy(proxy.url),
        )
    assert judged(result) == (Outcome.OK, Reason.OK)
    assert proxy.lines == [f"POST http://tax.test:{server.port}/a?b=c HTTP/1.1"]
    (arrived,) = server.requests
    assert (arrived.line, arrived.body, arrived.header("via")) == ("POST /a?b=c HTTP/1.1", b"x", "1.1 test")
    assert arrived.header("host") == f"tax.test:{server.port}"
    assert result.observation.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("kind", ["http", "tls"])
async def test_tls_goes_through_a_tunnel(environment: ProbeEnvironment, authority: Authority, kind: str) -> None:
    """The handshake is with the target, whose certificate is verified for its own name; connecting includes the tunnel."""
    async with proxying() as proxy, serving(says(200, b"fine"), tls=authority.context("tax.test")) as server:
        target = server.url(host="tax.test") if kind == "http" else f"tls://tax.test:{server.port}"
        tls = Tls(ca=authority.reference)
        result = await ask(target, kind=kind, environment=environment, tls=tls, proxy=Proxy(proxy.url))
        other = await ask(server.url(), environment=environment, tls=tls, proxy=Proxy(proxy.url))
    assert judged(result) == (Outcome.OK, Reason.OK)
    assert judged(other) == (Outcome.NOT_CONNECTED, Reason.CERTIFICATE_NAME_MISMATCH)
    assert proxy.lines[0] == f"CONNECT tax.test:{server.port} HTTP/1.1"
    assert result.observation.certificate is not None
    assert result.observation.certificate.names == ("tax.test",)
    assert None not in (result.observation.phases.connect, result.observation.phases.tls)


async def test_http2_goes_through_a_tunnel(environment: ProbeEnvironment, authority: Authority) -> None:
    """HTTP/2 is spoken with the target itself, over TLS and without."""
    secure = authority.context("tax.test")
    secure.set_alpn_protocols(["h2"])
    for scheme, tls in (("https", secure), ("http", None)):
        async with proxying() as proxy, serving_http2(replies(), tls=tls) as server:
            result = await ask(
                f"{scheme}://tax.test:{server.port}/",
                environment=environment,
                version="2",
                tls=Tls(ca=authority.reference),
                proxy=Proxy(proxy.url),
            )
        assert judged(result) == (Outcome.OK, Reason.OK)
        assert [line.split(" ")[0] for line in proxy.lines] == ["CONNECT"]


async def test_a_server_that_speaks_first(environment: ProbeEnvironment, authority: Authority) -> None:
    """Bytes that follow the proxy's answer at once are the target's, like the greeting before STARTTLS."""
    lines = (b"220 hello\r\n", b"250 STARTTLS\r\n", b"220 go on\r\n")
    mail = says_in_turn(*lines, tls=authority.context("tax.test"))
    async with proxying() as proxy, talking(mail) as server:
        result = await ask(
            f"tls://tax.test:{server.port}",
            kind="tls",
            environment=environment,
            starttls="smtp",
            tls=Tls(ca=authority.reference),
            proxy=Proxy(proxy.url),
        )
    assert judged(result) == (Outcome.OK, Reason.OK)


async def test_redirects_take_the_proxy_too(environment: ProbeEnvironment, authority: Authority) -> None:
    """A redirect from http to https is followed over the same proxy."""
    async with (
        proxying() as proxy,
        serving(says(200, b"fine"), tls=authority.context("tax.test")) as secure,
        serving(leading(secure.url(host="tax.test"))) as plain,
    ):
        result = await ask(
            plain.url(host="tax.test"),
            environment=environment,
            tls=Tls(ca=authority.reference),
            proxy=Proxy(proxy.url),
        )
    assert judged(result) == (Outcome.OK, Reason.OK)
    assert [line.split(" ")[0] for line in proxy.lines] == ["GET", "CONNECT"]


async def test_journeys_and_tokens_take_it(environment: ProbeEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a journey go over the proxy that they name, and so does the request for a token."""
    monkeypatch.setenv("TEST_CLIENT_SECRET", "s3cr3t")

    async def site(request: Request, writer: asyncio.StreamWriter) -> None:
        token = b'{"access_token": "t", "token_type": "Bearer", "path": "next"}'
        allowed = request.path == "/token" or request.header("authorization") == "Bearer t"
        writer.write(answer(200 if allowed else 401, token))

    async with proxying() as proxy, serving(site) as server:
        url = server.url(host="tax.test")
        auth = Auth("oauth2", token_url=f"{url}token", client_id="a", client_secret="env:TEST_CLIENT_SECRET")
        over = Probe("first", "http", auth=auth, proxy=Proxy(proxy.url))
        steps = (
            Step(over, "${target}", {"path": Capture(json="$.path")}),
            Step(Probe("second", "http", auth=auth, proxy=Proxy(proxy.url)), "${target}${path}"),
        )
        result = await ask(url, kind="journey", environment=environment, steps=steps)
    assert judged(result) == (Outcome.OK, Reason.OK)
    assert [urlsplit(line.split(" ")[1]).path for line in proxy.lines] == ["/token", "/", "/next"]
