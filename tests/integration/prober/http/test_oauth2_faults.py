"""Token issuers that are slow, down or wrong, and whose fault a failed probe is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Auth
from services.prober.http import oauth2 as oauth
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport import egress
from tests.support.cases.probes.oauth2 import environment, issuing, oauth2, pair, secret
from tests.support.patient_loop import takes
from tests.support.servers.http_server import Handler, Request, answer, ask, forever, says, serving

__all__ = ["environment", "secret"]  # fixtures


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        (says(401, b'{"error": "invalid_client"}'), "refused our client: invalid_client"),
        (says(400, b'{"error": "s3cr3t"}'), "status 400"),
        (says(503, b"sorry"), "status 503"),
        (says(302, b"", {"Location": "http://127.0.0.1:1/"}), "status 302"),
        (says(200, b"<html>"), "not a JSON object"),
        (says(200, b"[]"), "not a JSON object"),
        (says(200, b'{"token_type": "bearer"}'), "none that can be sent"),
        (says(200, b'{"access_token": ""}'), "none that can be sent"),
        (says(200, b'{"access_token": "a\\r\\nX-Evil: 1"}'), "none that can be sent"),
        (says(200, b'{"access_token": "a", "token_type": "mac"}'), "another kind"),
        (says(200, b"x" * 70_000), "larger than its limit"),
    ],
)
async def test_no_token_is_our_own_fault(issuer: Handler, said: str, environment: ProbeEnvironment) -> None:
    """An issuer's answer without a usable token is UNKNOWN/OWN_CREDENTIAL; the target is not contacted."""
    async with pair(issuer, says()) as (one, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(one))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert said in result.judgement.detail
    assert "s3cr3t" not in result.judgement.detail
    assert (one.connections, target.connections) == (1, 0)


async def test_an_issuer_that_is_down_is_our_own_fault(environment: ProbeEnvironment, port: Callable[[], int]) -> None:
    """An issuer that refuses connections is UNKNOWN/OWN_CREDENTIAL, and the detail names the refusal."""
    async with serving(says()) as target:
        auth = Auth("oauth2", token_url=f"http://127.0.0.1:{port()}/", client_id="a", client_secret="env:PATH")
        result = await ask(target.url(), environment=environment, auth=auth)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert "refused" in result.judgement.detail
    assert target.connections == 0


async def test_a_missing_client_secret_is_our_own_fault(environment: ProbeEnvironment) -> None:
    """Without the client's secret no request is made, and the detail names the reference."""
    async with pair(issuing(), says()) as (issuer, target):
        result = await ask(
            target.url(), environment=environment, auth=oauth2(issuer, client_secret="env:NO_SUCH_SECRET")
        )
    assert result.judgement.reason is Reason.OWN_CREDENTIAL
    assert "NO_SUCH_SECRET" in result.judgement.detail
    assert (issuer.connections, target.connections) == (0, 0)


async def test_37_a_token_url_obeys_the_egress_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer at a forbidden address is not connected to, even when the target may be."""
    monkeypatch.setattr(egress, "_REFUSED", (*egress._REFUSED, ip_network("127.0.0.66")))
    async with serving(issuing(), host="127.0.0.66") as issuer, serving(says()) as target:
        result = await ask(target.url(), auth=oauth2(issuer, token_url=issuer.url(host="127.0.0.66")))
    assert result.judgement.reason is Reason.OWN_CREDENTIAL
    assert "egress" in result.judgement.detail
    assert (issuer.connections, target.connections) == (0, 0)


async def test_31_a_slow_issuer_ends_the_probe_in_time_but_not_the_request(environment: ProbeEnvironment) -> None:
    """A probe that waits for a token ends by its own deadline, and the token that comes later serves the next probe."""
    gate = asyncio.Event()

    async def slow(_: Request, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(answer(200, b'{"access_token": "late"}'))

    async with pair(slow, says()) as (issuer, target):
        result = await takes(0.3, ask(target.url(), environment=environment, auth=oauth2(issuer), timeout=0.3))
        assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
        assert target.connections == 0
        gate.set()
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer))
    assert result.judgement.reason is Reason.OK
    assert (issuer.connections, target.requests[0].header("authorization")) == (1, "Bearer late")


def after(seconds: float, handler: Handler) -> Handler:
    """Return a handler that waits first."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await handler(request, writer)

    return handle


async def test_a_slow_issuer_is_not_charged_to_the_target(environment: ProbeEnvironment) -> None:
    """A target that had no time left for its answer because of the token is UNKNOWN; with the token cached it is OK."""
    async with pair(after(0.8, issuing()), after(0.4, says())) as (issuer, target):
        late, good = [
            await ask(target.url(), environment=environment, auth=oauth2(issuer), timeout=1.0) for _ in range(2)
        ]
    assert (late.judgement.outcome, late.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    took = re.search(r"getting a token took (\d+) ms", late.judgement.detail)
    assert took is not None
    assert int(took[1]) >= 800
    assert late.observation.addresses == ("127.0.0.1",)
    assert (good.judgement.reason, issuer.connections) == (Reason.OK, 1)


async def test_a_quick_issuer_excuses_no_target(environment: ProbeEnvironment) -> None:
    """A silent target fails, also in the probe that requested the token."""
    async with pair(issuing(), forever) as (issuer, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer), timeout=1.0)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.ANSWER_TIMEOUT)
    assert issuer.connections == 1


async def test_31_a_request_for_a_token_ends_by_itself(
    environment: ProbeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent issuer is given up after a limit of its own, before the deadline of a probe with more time."""
    monkeypatch.setattr(oauth, "_REQUEST_SECONDS", 0.1)

    async def mute(_: Request, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with pair(mute, says()) as (issuer, target):
        result = await ask(target.url(), environment=environment, auth=oauth2(issuer), timeout=30.0)
    assert result.judgement.reason is Reason.OWN_CREDENTIAL
    assert "processing" in result.judgement.detail
