"""The choice between IPv4 and IPv6 (docs/probing.md §5, behaviour 28): both kinds of loopback, and a real name server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.http_server import LOOPBACK, Server, ask, says, serving, unaccepting
from tests.support.servers.name_server import name_server

BOTH = {"both.test": ["127.0.0.1", "::1"], "old.test": ["127.0.0.1"], "new.test": ["::1"]}


@asynccontextmanager
async def way_out(names: dict[str, list[str]], egress: Egress = LOOPBACK) -> AsyncIterator[ProbeEnvironment]:
    """Return an environment whose name server knows these names."""
    async with name_server(names) as (_, resolver):
        yield ProbeEnvironment(Outbound(egress=EgressRules(egress), resolver=resolver))


@asynccontextmanager
async def on_both() -> AsyncIterator[Server]:
    """Serve on both loopback addresses at one port; connections over IPv4 are counted."""
    async with serving(says()) as server, serving(says(), host="::1", port=server.port):
        yield server


@pytest.mark.parametrize(
    ("ip", "host", "tried"),
    [
        ("prefer-ipv4", "both.test", ("127.0.0.1",)),
        ("prefer-ipv6", "both.test", ("::1",)),
        ("ipv4", "both.test", ("127.0.0.1",)),
        ("ipv6", "both.test", ("::1",)),
        ("prefer-ipv4", "new.test", ("::1",)),
        ("prefer-ipv6", "old.test", ("127.0.0.1",)),
        ("prefer-ipv4", "[::1]", ("::1",)),
        ("prefer-ipv6", "127.0.0.1", ("127.0.0.1",)),
        ("ipv4", "127.0.0.1", ("127.0.0.1",)),
        ("ipv6", "[::1]", ("::1",)),
    ],
)
async def test_28_the_family_is_chosen(ip: str, host: str, tried: tuple[str, ...]) -> None:
    """The preferred IP version is used where there is one, the required one always; addresses tried are recorded."""
    async with on_both() as server, way_out(BOTH) as environment:
        result = await ask(server.url(host=host), environment=environment, ip=ip)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses == tried


@pytest.mark.parametrize(
    ("ip", "listening", "tried"),
    [("prefer-ipv4", "::1", ("127.0.0.1", "::1")), ("prefer-ipv6", "127.0.0.1", ("::1", "127.0.0.1"))],
)
async def test_28_the_other_family_is_fallen_back_to(ip: str, listening: str, tried: tuple[str, ...]) -> None:
    """When the preferred IP version refuses, the other one is tried; both are recorded."""
    async with serving(says(), host=listening) as server, way_out(BOTH) as environment:
        result = await ask(server.url(host="both.test"), environment=environment, ip=ip)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses == tried


async def test_28_a_silent_family_leaves_time_for_the_other() -> None:
    """When the preferred IP version does not even refuse, the other one is still reached before the deadline."""
    names = {"both.test": ["127.0.0.1", "::1"]}
    with unaccepting() as port:
        async with serving(says(), host="::1", port=port), way_out(names) as environment:
            result = await ask(f"http://both.test:{port}/", environment=environment, timeout=1.0)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize(("ip", "listening", "tried"), [("ipv4", "::1", "127.0.0.1"), ("ipv6", "127.0.0.1", "::1")])
async def test_28_no_fallback_from_the_only_family(ip: str, listening: str, tried: str) -> None:
    """With one IP version only, a refusal is final, although the other would have answered."""
    async with serving(says(), host=listening) as server, way_out(BOTH) as environment:
        result = await ask(server.url(host="both.test"), environment=environment, ip=ip)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)
    assert result.observation.addresses == (tried,)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("ip", "host", "said"),
    [
        ("ipv6", "127.0.0.1", "127.0.0.1 has no IPv6 address"),
        ("ipv4", "[::1]", "::1 has no IPv4 address"),
        ("ipv6", "old.test", "old.test has no IPv6 address"),
        ("ipv4", "new.test", "new.test has no IPv4 address"),
    ],
)
async def test_28_no_address_of_the_only_family(ip: str, host: str, said: str) -> None:
    """A target without an address of the required IP version is NOT_CONNECTED, and the detail names the version."""
    async with way_out(BOTH) as environment:
        result = await ask(f"http://{host}:1/", environment=environment, ip=ip)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.RESOLVE_FAILED)
    assert result.judgement.detail == said
    assert result.observation.addresses == ()


async def test_28_a_redirect_keeps_the_choice() -> None:
    """A redirect is followed by the same choice of IP version."""
    async with on_both() as last, way_out(BOTH) as environment:
        where = last.url(host="both.test")
        async with serving(says(302, b"", {"Location": where}), host="::1") as server:
            result = await ask(server.url(host="new.test"), environment=environment, ip="ipv6")
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses == ("::1", "::1")
