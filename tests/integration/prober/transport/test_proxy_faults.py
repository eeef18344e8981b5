"""Whose fault it is when a probe over a proxy fails, and where no proxy leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Capture, Probe, Proxy, Step, Tls
from services.prober.attempt import ProbeResult
from services.prober.control import ControlTargets
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.egress import EgressRules
from tests.support.cases.probes.proxied import NAMES, authority, environment, judged, proxy
from tests.support.servers.authority import Authority
from tests.support.servers.egress_trap import FORBIDDEN, Trap, leading, trapping, way_out
from tests.support.servers.http_server import LOOPBACK, Request, answer, ask, says, serving, silent, unaccepting
from tests.support.servers.proxy_server import Proxy as RunningProxy
from tests.support.servers.proxy_server import proxying

__all__ = ["authority", "environment", "proxy"]  # fixtures


@pytest.mark.parametrize("secure", [False, True])
async def test_credentials_for_the_proxy(
    environment: ProbeEnvironment, authority: Authority, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials reach the proxy and never the target; if it refuses them, or they are missing, it is our own fault."""
    monkeypatch.setenv("TEST_PROXY_PASSWORD", "p4ss")
    tls = authority.context("tax.test") if secure else None
    async with proxying("monitor:p4ss") as proxy, serving(says(), tls=tls) as server:

        async def over(**credentials: str) -> ProbeResult:
            way = Proxy(proxy.url, **credentials)
            url = server.url(host="tax.test")
            return await ask(url, environment=environment, tls=Tls(ca=authority.reference), proxy=way)

        right = await over(username="monitor", password="env:TEST_PROXY_PASSWORD")
        wrong = await over(username="other", password="env:TEST_PROXY_PASSWORD")
        without = await over()
        missing = await over(username="monitor", password="env:TEST_NO_SUCH_PASSWORD")
    assert judged(right) == (Outcome.OK, Reason.OK)
    assert {judged(result) for result in (wrong, without, missing)} == {(Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)}
    assert (server.connections, len(proxy.lines)) == (1, 3)
    assert server.requests[0].header("proxy-authorization") is None
    assert "p4ss" not in wrong.judgement.detail + missing.judgement.detail


async def test_no_target_can_claim_to_be_the_proxy(
    environment: ProbeEnvironment, authority: Authority, proxy: RunningProxy
) -> None:
    """A target that answers 407 itself has answered with another status than expected; it does not become unknown."""
    for tls in (None, authority.context("tax.test")):
        async with serving(says(407), tls=tls) as server:
            result = await ask(
                server.url(host="tax.test"),
                environment=environment,
                tls=Tls(ca=authority.reference),
                proxy=Proxy(proxy.url),
            )
        assert judged(result) == (Outcome.INVALID, Reason.STATUS)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_down(environment: ProbeEnvironment, port: Callable[[], int], scheme: str) -> None:
    """A proxy that does not run, or whose name does not resolve, is no failure of the target, which is not contacted."""
    free = port()
    async with serving(says()) as server:
        for where in (f"http://127.0.0.1:{free}", f"http://proxy.test:{free}", f"http://nobody.test:{free}"):
            result = await ask(f"{scheme}://tax.test:{server.port}/", environment=environment, proxy=Proxy(where))
            assert judged(result) == (Outcome.UNKNOWN, Reason.PROXY_FAILED)
            assert result.judgement.detail.startswith("the proxy cannot be reached: ")
    assert server.connections == 0


async def test_a_proxy_that_is_silent(environment: ProbeEnvironment) -> None:
    """A proxy that accepts no connection, or never answers, is no failure of the target."""
    with unaccepting() as full, silent() as mute:
        for where in (full, mute):
            way = Proxy(f"http://127.0.0.1:{where}")
            result = await ask("https://tax.test:9/", environment=environment, proxy=way, timeout=0.5)
            assert judged(result) == (Outcome.UNKNOWN, Reason.PROXY_FAILED)


async def test_a_silent_target_behind_a_proxy_that_answers(environment: ProbeEnvironment, authority: Authority) -> None:
    """A tunnel that does not open while the proxy opens others is the target's failure."""
    first = asyncio.Event()

    async def selective(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path.startswith("silent.test"):
            first.set()
            await asyncio.Event().wait()
        writer.write(answer(403))

    async with serving(selective) as server, way_out({"silent.test": ["127.0.0.1"], **NAMES}) as (_, outside):
        way = Proxy(f"http://127.0.0.1:{server.port}")
        waiting = asyncio.create_task(ask("https://silent.test/", environment=outside, proxy=way, timeout=1.0))
        await first.wait()
        refused = await ask("https://tax.test/", environment=outside, proxy=way)
        result = await waiting
    assert judged(refused) == (Outcome.UNKNOWN, Reason.PROXY_FAILED)
    assert judged(result) == (Outcome.NOT_CONNECTED, Reason.CONNECT_TIMEOUT)


@pytest.mark.parametrize("said", [b"SSH-2.0-x\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000])
async def test_what_is_no_proxy(environment: ProbeEnvironment, said: bytes) -> None:
    """A server that answers unlike a proxy, without an end, or not at all is no failure of the target."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    async with serving(handle) as server:
        way = Proxy(f"http://127.0.0.1:{server.port}")
        result = await ask("https://tax.test:9/", environment=environment, proxy=way)
    assert judged(result) == (Outcome.UNKNOWN, Reason.PROXY_FAILED)


async def test_what_a_proxy_says_of_a_target(
    environment: ProbeEnvironment, proxy: RunningProxy, port: Callable[[], int]
) -> None:
    """A proxy that refuses to connect is no failure of the target; a proxy that cannot connect is one."""
    free, way = port(), Proxy(proxy.url)
    refused = await ask("https://refused.test:9/", environment=environment, proxy=way)
    unreachable = await ask(f"https://tax.test:{free}/", environment=environment, proxy=way)
    forwarded = await ask(f"http://tax.test:{free}/", environment=environment, proxy=way)
    assert judged(refused) == (Outcome.UNKNOWN, Reason.PROXY_FAILED)
    assert judged(unreachable) == (Outcome.NOT_CONNECTED, Reason.CONNECT_UNREACHABLE)
    assert judged(forwarded) == (Outcome.NOT_ANSWERED, Reason.SERVER_ERROR)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_control_targets_over_a_proxy(
    environment: ProbeEnvironment, authority: Authority, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Control targets are checked over the probes' proxy: one that has no way out, or refuses us, blinds the vantage."""
    tls = authority.context("tax.test") if scheme == "https" else None
    async with proxying("monitor:p4ss") as proxy, serving(says(404), tls=tls) as server:
        url = server.url(host="tax.test")
        way = Proxy(proxy.url, "monitor", "env:TEST_PROXY_PASSWORD")
        targets = ControlTargets((url, f"tcp://127.0.0.1:{server.port}"), environment, way)
        without = await targets.check()
        monkeypatch.setenv("TEST_PROXY_PASSWORD", "other")
        wrong = await ControlTargets((url,), ProbeEnvironment(environment.outbound), way).check()
        monkeypatch.setenv("TEST_PROXY_PASSWORD", "p4ss")
        right = await ControlTargets((url,), ProbeEnvironment(environment.outbound), way).check()
        lost = f"{scheme}://tax.test:1/"
        cut_off = await ControlTargets((lost,), ProbeEnvironment(environment.outbound), way).check()
    assert without == {url: "the variable TEST_PROXY_PASSWORD that holds a credential is not set"}
    assert wrong == {url: "the proxy does not accept our credentials"}
    assert right == {}
    assert cut_off.keys() == {lost}
    assert "502" in cut_off[lost]
    assert len(proxy.lines) == 3


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 503])
async def test_a_proxy_that_serves_nobody_blinds_the_vantage(environment: ProbeEnvironment, status: int) -> None:
    """A status that a proxy writes in the place of every target counts against none. Without a proxy it is an answer."""
    async with serving(says(status)) as server:
        way, url = Proxy(server.url()), f"http://tax.test:{server.port}/"
        over = await ControlTargets((url,), environment, way).check()
        directly = await ControlTargets((url,), environment).check()
        measured = await ask(url, environment=environment, proxy=way)
    assert measured.judgement.outcome is Outcome.NOT_ANSWERED
    assert over == {url: f"the proxy, or the target behind it, answered with status {status}"}
    assert directly == {}


@pytest.fixture
async def trap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    """The trap, at an address that the rules refuse whatever the policy allows."""
    async with trapping(monkeypatch) as trap:
        yield trap


async def test_37_no_proxy_leads_around_the_rules(trap: Trap, proxy: RunningProxy) -> None:
    """A proxy is not asked for a target whose name has an address that is forbidden, among others or alone."""
    names = {**NAMES, "mixed.test": ["127.0.0.1", FORBIDDEN], "2130706498": [FORBIDDEN]}
    async with way_out(names) as (_, environment):
        for host in ("inside.test", "mixed.test", FORBIDDEN, "2130706498", f"[::ffff:{FORBIDDEN}]"):
            for scheme in ("http", "https"):
                url = f"{scheme}://{host}:{trap.port}/"
                result = await ask(url, environment=environment, proxy=Proxy(proxy.url))
                assert judged(result) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
        async with serving(leading(f"http://inside.test:{trap.port}/")) as first:
            led = await ask(first.url(host="tax.test"), environment=environment, proxy=Proxy(proxy.url))
    assert judged(led) == (Outcome.INVALID, Reason.REDIRECT_REFUSED)
    assert trap.caught == []


async def test_37_the_proxy_obeys_the_rules(trap: Trap, environment: ProbeEnvironment) -> None:
    """A proxy at a forbidden address is not connected to, and that is our own fault, also in a step that an answer led
    to.
    """
    over = Proxy(f"http://inside.test:{trap.port}")
    result = await ask("http://tax.test:9/", environment=environment, proxy=over)
    async with serving(says(200, b'{"port": 9}')) as server:
        steps = (
            Step(Probe("first", "http"), "${target}", {"port": Capture(json="$.port")}),
            Step(Probe("second", "http", proxy=over), "http://tax.test:${port}/"),
        )
        led = await ask(server.url(), kind="journey", environment=environment, steps=steps)
    assert judged(result) == judged(led) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
    assert trap.caught == []


async def test_37_loopback_proxies_need_the_policy() -> None:
    """A proxy on loopback is reached if the policy allows loopback."""
    async with way_out(NAMES) as (_, environment), serving(says()) as server:
        environment.outbound.egress = EgressRules(LOOPBACK)
        allowed = await ask("http://tax.test:9/", environment=environment, proxy=Proxy(server.url()))
    assert judged(allowed) == (Outcome.OK, Reason.OK)
