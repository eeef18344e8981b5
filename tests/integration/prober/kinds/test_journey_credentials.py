"""A journey's credentials and cookies go where the register says, wherever an answer leads."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import (
    Auth,
    Capture,
    Expect,
    Patterns,
    Probe,
    Tls,
)
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probes.journey import LOGIN, SECRET, a_step, site, travel
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, Request, answer, assignment, forever, serving


async def test_cookies_go_to_their_own_site_only() -> None:
    """A cookie is sent to the host that set it and to no other, and no journey starts with one of another journey."""
    async with serving(site) as home, serving(site, host="127.0.0.2") as stranger:
        away = a_step(
            "away", stranger.url("/free", host="127.0.0.2"), expect=Expect(body=Patterns(must=("^cookies: $",)))
        )
        first = await travel(home.url(""), LOGIN, away)
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
        definition = Probe("test", "journey", steps=(LOGIN,))
        attempts = ProbeRunner(environment, structlog.get_logger())
        item = assignment(home.url(""), definition, params={"person": "1"})
        for _ in range(2):
            assert (await attempts.probe(item)).judgement.reason is Reason.OK
        await environment.close()
    assert first.judgement.reason is Reason.OK
    assert [request.header("cookie") for request in home.requests if request.path.startswith("/login")] == [None] * 3


@pytest.mark.parametrize(("own", "reason"), [(3.0, Reason.OWN_CREDENTIAL), (0.3, Reason.ANSWER_TIMEOUT)])
async def test_a_token_may_take_the_time_of_a_later_step(
    own: float, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that the journey's deadline ends because an earlier one waited for a token is not to blame."""
    monkeypatch.setenv("TEST_CLIENT_SECRET", "s3cr3t")

    async def issue(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(answer(200, b'{"access_token": "a"}'))

    async with serving(issue) as issuer, serving(site) as server, serving(forever) as hung:
        auth = Auth("oauth2", token_url=issuer.url(), client_id="a", client_secret="env:TEST_CLIENT_SECRET")
        first = a_step("first", "${target}/free", auth=auth, timeout=1.0)
        result = await travel(server.url(""), first, a_step("hang", hung.url(), timeout=own), timeout=1.0)
    assert result.judgement.reason is reason
    assert result.judgement.detail.startswith("step hang: ")


async def _led(
    monkeypatch: pytest.MonkeyPatch, target: str, given: str, *, origins: tuple[str, ...] = (), **definition: object
) -> tuple[ProbeResult, list[Request], list[Request]]:
    """Let an answer lead a step with a credential. Return the result, and what the target and another server received.

    ``here`` and ``there`` in the step's target, the captured value and the origins are the ports of these servers.
    """
    monkeypatch.setenv("TEST_TOKEN", SECRET)
    ports: dict[str, int] = {}

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"", {"X-Next": given.format(**ports)}))

    async with serving(handle) as server, serving(handle) as other:
        ports |= {"here": server.port, "there": other.port}
        made = a_step("b", target.replace("there", str(other.port)), None, **{"auth": TOKEN, **definition})
        made = replace(made, origins=tuple(origin.format(**ports) for origin in origins))
        first = a_step("a", "${target}/", {"next": Capture(header="X-Next")})
        result = await travel(server.url(""), first, made)
    return result, server.requests[1:], other.requests


TOKEN = Auth("bearer", token="env:TEST_TOKEN")


@pytest.mark.parametrize(
    ("target", "given"),
    [
        ("${next}", "http://127.0.0.1:{there}/"),
        ("http://127.0.0.1:${next}/", "{there}"),
        ("${target}${next}", "@127.0.0.1:{there}/"),
        ("http://127.0.0.${next}/", "1:{there}"),
    ],
)
async def test_30_an_answer_does_not_choose_who_gets_our_credentials(
    monkeypatch: pytest.MonkeyPatch, target: str, given: str
) -> None:
    """A step with a token is not made to an origin that only an answer names, and that is the answer's fault."""
    result, _, stolen = await _led(monkeypatch, target, given)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CAPTURE)
    assert stolen == []


async def test_30_a_client_certificate_is_a_credential(
    monkeypatch: pytest.MonkeyPatch, authority_files: tuple[str, str]
) -> None:
    """A step with a client certificate makes no handshake with an origin that only an answer names."""
    certificate, key = authority_files
    tls = Tls(certificate=certificate, key=key, verify=False)
    result, _, stolen = await _led(monkeypatch, "${next}", "https://127.0.0.1:{there}/", auth=Auth(), tls=tls)
    assert result.judgement.reason is Reason.CAPTURE
    assert result.judgement.detail == "step b would send credentials to an origin that only an answer names"
    assert stolen == []


@pytest.fixture
def authority_files(tmp_path: Path) -> tuple[str, str]:
    """References to a client's certificate and key."""
    certificate, key = Authority.make(tmp_path).client()
    return f"file:{certificate}", f"file:{key}"


@pytest.mark.parametrize(
    ("target", "given", "origins", "reached"),
    [
        ("${next}", "http://127.0.0.1:{here}/x", (), "here"),
        ("${target}${next}", "/x", (), "here"),
        ("http://127.0.0.1:there/${next}", "x", (), "there"),
        ("${next}", "http://127.0.0.1:{there}/x", ("http://127.0.0.1:9", "http://127.0.0.1:{there}/"), "there"),
    ],
)
async def test_30_credentials_for_origins_that_the_register_names(
    monkeypatch: pytest.MonkeyPatch, target: str, given: str, origins: tuple[str, ...], reached: str
) -> None:
    """A token goes where an answer leads if that is the journey's own target, the step's own, or one of `origins`."""
    result, here, there = await _led(monkeypatch, target, given, origins=origins)
    assert result.judgement.reason is Reason.OK
    requests = {"here": here, "there": there}
    assert [one.header("authorization") for one in requests.pop(reached)] == [f"Bearer {SECRET}"]
    assert list(requests.values()) == [[]]


async def test_an_answer_leads_a_step_without_credentials_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a credential a step follows an answer to any origin that the policy allows."""
    result, _, there = await _led(monkeypatch, "${next}", "http://127.0.0.1:{there}/", auth=Auth())
    assert result.judgement.reason is Reason.OK
    assert len(there) == 1


async def test_own_credential_of_a_step() -> None:
    """A missing secret of a step is UNKNOWN/OWN_CREDENTIAL."""
    tls = Tls(ca="file:/no/such/ca.pem")
    async with serving(site) as server:
        result = await travel(server.url(""), LOGIN, a_step("next", f"https://127.0.0.1:{server.port}/", tls=tls))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)


async def test_the_first_certificate_is_kept(tmp_path: object) -> None:
    """The certificate of a journey is the first that a step received, also when later steps have no TLS."""
    authority = Authority.make(tmp_path)  # type: ignore[arg-type]
    tls = Tls(ca=authority.reference)
    async with serving(site, tls=authority.context("127.0.0.1")) as secure, serving(site) as plain:
        result = await travel(secure.url(""), a_step("a", "${target}/free", tls=tls), a_step("b", plain.url("/free")))
    assert result.judgement.reason is Reason.OK
    assert result.observation.certificate is not None
    assert result.observation.certificate.names == ("127.0.0.1",)
    assert result.observation.phases.tls is not None
