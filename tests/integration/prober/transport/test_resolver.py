"""Names that do not resolve: whether that is due to the name, to a silent name server, or to ourselves (docs/probing.md §2)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from aiodns import error as ares

from services.core.model.outcome import Outcome, Reason
from services.prober.attempt import ProbeResult
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Cause
from services.prober.transport import ProbeFailedError
from services.prober.transport import resolver as resolve
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from services.prober.transport.resolver import Resolver
from tests.support.limits.descriptors import no_descriptor_left
from tests.support.servers.dns_server import Answer, Asked, answering, naming, with_rcode
from tests.support.servers.http_server import LOOPBACK, ask, says, serving
from tests.support.servers.name_server import name_server
from tests.support.waiting import eventually


@asynccontextmanager
async def way_out(port: int) -> AsyncIterator[ProbeEnvironment]:
    """Return an environment whose name server has this port of loopback."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=Resolver([f"127.0.0.1:{port}"])))
    try:
        yield environment
    finally:
        await environment.close()


def _said(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.judgement.outcome, result.judgement.reason


async def _nonsense(asked: Asked) -> None:
    asked.reply(asked.message.to_wire()[:2] + b"\x80\x00\x00\x01\xff\xff\x00\x00\x00\x00" + b"\xff" * 8)


FAILED = (Outcome.NOT_CONNECTED, Reason.RESOLVE_FAILED)
TIMED_OUT = (Outcome.NOT_CONNECTED, Reason.RESOLVE_TIMEOUT)
OURS = (Outcome.UNKNOWN, Reason.LOCAL_RESOURCES)


@pytest.mark.parametrize(
    ("server", "host", "said"),
    [
        (with_rcode("NXDOMAIN"), "gone.tax.example", "Domain name not found"),
        (answering(), "docs.nowhere.tax.example", "Domain name not found"),
        (with_rcode("NOERROR"), "empty.tax.example", "DNS server returned answer with no data"),
        (with_rcode("SERVFAIL"), "broken.tax.example", "DNS server returned general failure"),
        (with_rcode("REFUSED"), "refused.tax.example", "DNS server refused query"),
        (with_rcode("FORMERR"), "odd.tax.example", "DNS server claims query was misformatted"),
        (with_rcode("NOTIMP"), "old.tax.example", "DNS server does not implement requested operation"),
        (_nonsense, "nonsense.tax.example", "Misformatted DNS reply"),
        (answering(), "a" * 64 + ".tax.example", "Misformatted domain name"),
    ],
)
async def test_what_the_name_server_says_is_of_the_name(server: Answer, host: str, said: str) -> None:
    """A name without address, one the name server has no answer for, and one that is not a name, are NOT_CONNECTED."""
    async with naming(server) as names, way_out(names.port) as environment:
        result = await ask(f"http://{host}/", environment=environment)
    assert _said(result) == FAILED
    assert result.judgement.detail == f"{host} does not resolve: {said}"


@pytest.mark.parametrize(("count", "reason"), [(64, Reason.OK), (65, Reason.RESOLVE_FAILED)])
async def test_a_name_with_many_addresses(count: int, reason: Reason) -> None:
    """A name may have 64 addresses; one with more fails, because its addresses are remembered."""
    names = {"many.test": [f"127.0.0.{number}" for number in range(1, count + 1)]}
    async with name_server(names) as (_, resolver), serving(says()) as server:
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
        result = await ask(server.url(host="many.test"), environment=environment)
    assert result.judgement.reason is reason
    assert ("more than 64 addresses" in result.judgement.detail) is (count > 64)


async def test_a_silent_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent name server is RESOLVE_TIMEOUT also when the resolver gives up before the probe's deadline."""
    monkeypatch.setattr(resolve, "_TIMEOUT", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        async with way_out(mute.getsockname()[1]) as environment:
            result = await ask("http://www.tax.example/", environment=environment, timeout=30.0)
    assert _said(result) == TIMED_OUT
    assert result.observation.duration < 20.0
    assert "Timeout while contacting DNS servers" in result.judgement.detail


async def test_nobody_at_the_name_servers_address() -> None:
    """When nothing listens at our name server's address, that is no fault of the target."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with way_out(port) as environment:
        result = await ask("http://www.tax.example/", environment=environment)
    assert _said(result) == OURS
    assert "Could not contact DNS servers" in result.judgement.detail


def _sockets_to(port: int) -> int:
    sockets = psutil.Process().net_connections("udp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in sockets)


@pytest.mark.parametrize("before", [True, False])
async def test_no_descriptor_to_ask_with(*, before: bool) -> None:
    """Without a file descriptor for the query the outcome is UNKNOWN, whether the resolver is new or not."""
    async with naming(answering()) as names, way_out(names.port) as environment:
        if before:
            assert "192.0.2.1" in await environment.outbound.resolver.addresses("www.tax.example")
            # The library closes the socket in a thread of its own, after it has given the answer.
            await eventually(lambda: not _sockets_to(names.port), "the socket of that query was closed")
        with no_descriptor_left():
            result = await ask("http://ns.tax.example/", environment=environment)
        assert _said(result) == OURS
        assert await environment.outbound.resolver.addresses("ns.tax.example") == ("192.0.2.53",)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (ares.ARES_EFILE, Cause.LOCAL_RESOURCES),
        (ares.ARES_ENOMEM, Cause.LOCAL_RESOURCES),
        (ares.ARES_ENOTINITIALIZED, Cause.LOCAL_RESOURCES),
        (ares.ARES_ECANCELLED, Cause.LOCAL_RESOURCES),
        (ares.ARES_EDESTRUCTION, Cause.LOCAL_RESOURCES),
        (ares.ARES_ECONNREFUSED, Cause.LOCAL_RESOURCES),
        (ares.ARES_ETIMEOUT, Cause.TIMEOUT),
        (ares.ARES_EBADNAME, Cause.FAILED),
    ],
)
async def test_what_cannot_be_provoked(code: int, cause: Cause, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each error of the library has its cause, also out of memory and the like."""

    async def fail(_: Resolver, __: str) -> tuple[str, ...]:
        raise ares.DNSError(code, "said by the library")

    monkeypatch.setattr(Resolver, "_query", fail)
    with pytest.raises(ProbeFailedError) as raised:
        await Resolver().addresses("www.tax.example")
    assert raised.value.failure.cause is cause
