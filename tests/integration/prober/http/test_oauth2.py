"""OAuth2 client credentials against a real issuer and a real target. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from time import time

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Tls
from services.prober.http.token_cache import TokenCache
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probes.oauth2 import environment, issuing, oauth2, pair, secret
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, Request, answer, ask, says, serving

__all__ = ["environment", "secret"]  # fixtures


async def test_a_token_is_asked_for_and_borne(environment: ProbeEnvironment) -> None:
    """The issuer gets one request, as RFC 6749 defines it; each request of the target carries the token."""
    async with pair(issuing(), says()) as (issuer, target):
        for _ in range(3):
            result = await ask(
                target.url("/x"),
                environment=environment,
                auth=oauth2(issuer, scope="a b"),
                method="POST",
                body="{}",
                headers={"X-Own": "1"},
            )
            assert result.judgement.reason is Reason.OK
    (request,) = issuer.requests
    assert request.line == "POST /token HTTP/1.1"
    assert request.header("content-type") == "application/x-www-form-urlencoded"
    assert request.body == b"grant_type=client_credentials&scope=a+b"
    credentials = b64encode(b"mon+itor:s3cr3t%3A+val%C3%BCe").decode()
    assert request.header("authorization") == f"Basic {credentials}"
    for request in target.requests:
        assert (request.line, request.body, request.header("x-own")) == ("POST /x HTTP/1.1", b"{}", "1")
        assert [value for name, value in request.headers if name.lower() == "authorization"] == ["Bearer token-1"]


async def test_a_token_behind_a_byte_order_mark(environment: ProbeEnvironment) -> None:
    """An issuer whose JSON starts with a byte order mark issues a token all the same."""
    said = b'\xef\xbb\xbf{"access_token": "token-1", "token_type": "Bearer"}'
    async with pair(says(200, said), says()) as (issuer, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer))
    assert result.judgement.reason is Reason.OK
    assert target.requests[0].header("authorization") == "Bearer token-1"


async def test_a_token_is_shared(environment: ProbeEnvironment) -> None:
    """Many targets of one issuer that need a token at the same time share one request; another scope has its own."""
    async with pair(issuing(), says()) as (issuer, target):
        results = await asyncio.gather(
            *(ask(target.url(f"/{number}"), environment=environment, auth=oauth2(issuer)) for number in range(30))
        )
        assert issuer.connections == 1
        results.append(await ask(target.url(), environment=environment, auth=oauth2(issuer, scope="other")))
    assert {result.judgement.reason for result in results} == {Reason.OK}
    assert issuer.connections == 2


@pytest.mark.parametrize(("expires_in", "kept"), [(100, 90), ("100", 90), (None, 270), (True, 270), (10**12, 86_370)])
async def test_a_token_is_cached_until_it_expires(expires_in: object, kept: float) -> None:
    """A token is renewed shortly before it expires, after five minutes when no time is stated, within a day."""
    now = [0.0]
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)), tokens=TokenCache(lambda: now[0]))
    async with pair(issuing(expires_in), says()) as (issuer, target):
        for moment, asked in ((0, 1), (kept - 1, 1), (kept + 1, 2)):
            now[0] = moment
            assert (await ask(target.url(), environment=environment, auth=oauth2(issuer))).judgement.reason is Reason.OK
            assert issuer.connections == asked
    await environment.close()
    assert [request.header("authorization") for request in target.requests] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_refused_is_dropped(environment: ProbeEnvironment, status: int) -> None:
    """A refused token is the target's AUTH_REFUSED after one attempt; the next probe requests another token."""

    async def wants_the_second(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200 if request.header("authorization") == "Bearer token-2" else status))

    async with pair(issuing(), wants_the_second) as (issuer, target):
        refused = await ask(target.url(), environment=environment, auth=oauth2(issuer))
        assert (issuer.connections, target.connections) == (1, 1)
        passed = await ask(target.url(), environment=environment, auth=oauth2(issuer))
    assert (refused.judgement.outcome, refused.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.AUTH_REFUSED)
    assert passed.judgement.reason is Reason.OK
    assert (issuer.connections, target.connections) == (2, 2)


async def test_30_a_token_does_not_travel_to_strangers(environment: ProbeEnvironment) -> None:
    """A redirect to another origin is sent without the token, and a refusal there does not drop it."""
    async with (
        serving(says(401)) as stranger,
        pair(issuing(), says(307, b"", {"Location": stranger.url()})) as (issuer, target),
    ):
        for _ in range(2):
            result = await ask(target.url(), environment=environment, auth=oauth2(issuer))
            assert result.judgement.reason is Reason.AUTH_REFUSED
    assert issuer.connections == 1
    assert [request.header("authorization") for request in stranger.requests] == [None, None]


async def test_30_a_token_stays_at_home(environment: ProbeEnvironment) -> None:
    """A redirect within the target's own origin carries the token."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200) if request.path == "/end" else answer(302, b"", {"Location": "/end"}))

    async with pair(issuing(), handle) as (issuer, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer))
    assert result.judgement.reason is Reason.OK
    assert [request.header("authorization") for request in target.requests] == ["Bearer token-1"] * 2


async def test_29_the_time_for_a_token_is_not_the_targets(environment: ProbeEnvironment) -> None:
    """The probe's time, and so its phases and latency, start once the token has arrived."""
    issued: list[float] = []
    issue = issuing()

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        await issue(request, writer)
        issued.append(time())

    async with pair(handle, says()) as (issuer, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer))
    observation = result.observation
    assert observation.time >= issued[0]
    assert observation.latency is not None
    assert observation.latency <= observation.duration
    assert observation.addresses == ("127.0.0.1",)


async def test_30_neither_secret_nor_token_shows(
    environment: ProbeEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Secret and token appear in no log, no output and no repr."""

    async def give(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b'{"access_token": "t0k3n"}'))

    async with pair(give, says(500)) as (issuer, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer))
        assert target.requests[0].header("authorization") == "Bearer t0k3n"
    printed = capsys.readouterr()
    shown = repr(result) + repr(environment) + printed.out + printed.err
    assert "s3cr3t" not in shown
    assert "t0k3n" not in shown


async def test_the_issuer_is_reached_by_the_same_trust(environment: ProbeEnvironment, tmp_path: Path) -> None:
    """The issuer's certificate is verified under the target's profile, but for the issuer's own name."""
    authority, other = Authority.make(tmp_path), Authority.make(tmp_path, "Other Authority")
    for vouching, reason in ((authority, Reason.OK), (other, Reason.OWN_CREDENTIAL)):
        async with (
            serving(issuing(), tls=vouching.context("127.0.0.1")) as issuer,
            serving(says(), tls=authority.context("tax.example")) as target,
        ):
            tls = Tls(ca=authority.reference, server_name="tax.example")
            result = await ask(target.url(), environment=environment, auth=oauth2(issuer), tls=tls)
            assert result.judgement.reason is reason
    assert "vouches" in result.judgement.detail
    assert issuer.requests == []
