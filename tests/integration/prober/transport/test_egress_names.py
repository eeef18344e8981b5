"""Names, issuers and control targets that would bypass the egress rules (docs/probing.md §5, behaviour 37)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.core.model.outcome import Reason
from services.core.model.probe import Auth
from services.prober.control import ControlTargets
from tests.support.servers.egress_trap import FORBIDDEN, Trap, leading, trapping, way_out
from tests.support.servers.http_server import ask, says, serving


@pytest.fixture
async def trap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    """The trap, at an address that the rules refuse whatever the policy allows."""
    async with trapping(monkeypatch) as trap:
        yield trap


async def test_37_an_answer_that_changes_opens_no_gap(trap: Trap) -> None:
    """A name that is allowed at the first lookup and forbidden at the second is looked up once for each connection."""
    names = {"rebinding.test": ["127.0.0.1", FORBIDDEN]}
    async with (
        way_out(names, changing=True) as (server, environment),
        serving(says(), port=0) as healthy,
    ):
        first = await ask(healthy.url(host="rebinding.test"), environment=environment)
        assert server.asked.count("rebinding.test/1") == 1
        second = await ask(f"http://rebinding.test:{trap.port}/", environment=environment)
        assert server.asked.count("rebinding.test/1") == 2
    assert trap.caught == []
    assert first.judgement.reason is Reason.OK
    assert first.observation.addresses == ("127.0.0.1",)
    assert second.judgement.reason is Reason.EGRESS_DENIED


async def test_37_an_answer_that_changes_before_a_redirect(trap: Trap) -> None:
    """A name that changes while it redirects to itself is checked again."""
    names = {"rebinding.test": ["127.0.0.1", FORBIDDEN]}
    async with (
        way_out(names, changing=True) as (server, environment),
        serving(leading(f"http://rebinding.test:{trap.port}/")) as first,
    ):
        result = await ask(first.url(host="rebinding.test"), environment=environment)
    assert trap.caught == []
    assert result.judgement.reason is Reason.REDIRECT_REFUSED
    assert (result.observation.addresses, server.asked.count("rebinding.test/1")) == (("127.0.0.1",), 2)


@pytest.mark.parametrize("addresses", [[FORBIDDEN, "127.0.0.1"], ["127.0.0.1", FORBIDDEN, "::1", "::ffff:127.0.0.66"]])
async def test_37_of_mixed_answers_only_the_allowed_are_used(trap: Trap, addresses: list[str], port: object) -> None:
    """Of a name with allowed and forbidden addresses only the allowed are tried, also when they refuse."""
    free = port()  # type: ignore[operator]
    names = {"mixed.test": addresses}
    async with serving(says(), host=FORBIDDEN, port=free) as forbidden, way_out(names) as (_, environment):
        refused = await ask(f"http://mixed.test:{free}/", environment=environment, ip="prefer-ipv6")
        async with serving(says(), port=free) as healthy:
            passed = await ask(f"http://mixed.test:{free}/", environment=environment)
    assert (trap.caught, forbidden.connections, healthy.connections) == ([], 0, 1)
    assert refused.judgement.reason is Reason.CONNECT_REFUSED
    assert passed.judgement.reason is Reason.OK
    assert refused.observation.addresses == passed.observation.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("host", ["127.0.0.66", "2130706498", "[::ffff:127.0.0.66]", "alias.test", "a@127.0.0.66"])
async def test_37_no_issuer_of_tokens_gets_there(trap: Trap, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token_url at the forbidden address gets no request, and without a token neither does the target."""
    monkeypatch.setenv("TEST_CLIENT_SECRET", "s3cr3t")
    url = f"http://{host}:{trap.port}/token"
    auth = Auth("oauth2", token_url=url, client_id="a", client_secret="env:TEST_CLIENT_SECRET")
    async with way_out() as (_, environment), serving(says()) as target:
        result = await ask(target.url(), environment=environment, auth=auth)
    assert (trap.caught, target.connections) == ([], 0)
    assert result.judgement.reason is Reason.OWN_CREDENTIAL


async def test_37_no_issuer_of_tokens_leads_there(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer's redirect is not followed: our secret stays with the issuer."""
    monkeypatch.setenv("TEST_CLIENT_SECRET", "s3cr3t")
    async with way_out() as (_, environment), serving(leading(f"http://127.0.0.1:{trap.port}/", 307)) as issuer:
        auth = Auth("oauth2", token_url=issuer.url(), client_id="a", client_secret="env:TEST_CLIENT_SECRET")
        result = await ask(f"http://127.0.0.1:{trap.port}/", environment=environment, auth=auth)
    assert (trap.caught, issuer.connections) == ([], 1)
    assert result.judgement.reason is Reason.OWN_CREDENTIAL


@pytest.mark.parametrize("scheme", ["http", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.66", "[::ffff:127.0.0.66]", "alias.test"])
async def test_37_no_control_target_gets_there(trap: Trap, scheme: str, host: str) -> None:
    """Control targets obey the same rules."""
    url = f"{scheme}://{host}:{trap.port}"
    async with way_out() as (_, environment):
        failing = await ControlTargets((url,), environment).check()
    assert trap.caught == []
    assert "egress" in failing[url]
