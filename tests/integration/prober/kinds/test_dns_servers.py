"""Name servers that probes ask: several addresses, silent ones, decoys, forbidden ones, over TLS."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import dns.flags
import dns.message
import dns.rdataclass
import dns.rrset
import uvloop

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, RecordPatterns, Tls
from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probes.dns import TRANSPORTS, probe
from tests.support.servers.authority import Authority
from tests.support.servers.dns_server import Asked, answering, naming
from tests.support.servers.http_server import LOOPBACK
from tests.support.servers.name_server import name_server
from tests.support.waiting import eventually


async def _decoys(asked: Asked) -> None:
    """Send everything that is not the answer, then the answer."""
    other = dns.message.make_response(dns.message.make_query("other.example", "A", id=asked.message.id))
    foreign = dns.message.make_response(asked.message)
    foreign.id ^= 1
    for decoy in (b"", b"?", b"\r\n" * 20, foreign.to_wire(), other.to_wire()):
        asked.reply(decoy)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        if asked.transport == "udp":
            forged = dns.message.make_response(asked.message)
            forged.set_rcode(dns.rcode.NXDOMAIN)
            stranger.sendto(forged.to_wire(), asked.peer)
    await answering()(asked)


@TRANSPORTS
async def test_only_the_answer_is_the_answer(transport: str) -> None:
    """Datagrams with another id or question, or from elsewhere, are skipped, and the answer is still accepted."""
    async with naming(_decoys) as server:
        result = await probe(
            server.target(), transport=transport, expect=Expect(answers=RecordPatterns(must=("192.0.2.1$",)))
        )
    assert result.judgement.reason is Reason.OK
    assert len(server.asked) == 1


@TRANSPORTS
async def test_28_the_next_address_is_asked(transport: str) -> None:
    """A name server given by name is queried at each of its addresses in turn; all are recorded."""
    async with (
        naming(answering(), "127.0.0.3") as server,
        name_server({"ns.test": ["127.0.0.1", "127.0.0.2", "127.0.0.3"]}) as (_, resolver),
    ):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
        result = await probe(server.target("ns.test"), transport=transport, environment=environment)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses[-1] == "127.0.0.3"
    assert result.observation.phases.resolve is not None


async def test_28_a_silent_address_leaves_time_for_the_next() -> None:
    """Over UDP a silent address uses its share of the time; the next still gets the query."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        async with (
            naming(answering(), "127.0.0.2") as server,
            name_server({"ns.test": ["127.0.0.1", "127.0.0.2"]}) as (_, resolver),
        ):
            mute.bind(("127.0.0.1", server.port))
            environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
            result = await probe(server.target("ns.test"), environment=environment, timeout=0.6)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses[-1] == "127.0.0.2"


async def test_28_ipv6() -> None:
    """A name server at an IPv6 address is queried there; a definition for IPv4 only does not query it."""
    async with naming(answering(), "::1") as server:
        result = await probe(server.target("::1"))
        other = await probe(server.target("::1"), ip="ipv4")
    assert (result.judgement.reason, result.observation.addresses) == (Reason.OK, ("::1",))
    assert other.judgement.outcome is Outcome.NOT_CONNECTED
    assert len(server.asked) == 1


@TRANSPORTS
async def test_37_egress_is_checked(transport: str) -> None:
    """A name server that the policy does not allow is UNKNOWN/EGRESS_DENIED and gets no query, not even over UDP."""
    async with naming(answering()) as server:
        result = await probe(server.target(), transport=transport, egress=Egress(("198.51.100.0/24",)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
    assert server.asked == []


async def test_a_server_without_address() -> None:
    """A name server whose own name has no address is NOT_CONNECTED/RESOLVE_FAILED."""
    async with name_server({}) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
        result = await probe("dns://ns.test", environment=environment)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.RESOLVE_FAILED)


async def _forever(_: Asked) -> None:
    await asyncio.Event().wait()


def test_the_loop_of_the_prober_asks_as_well() -> None:
    """On uvloop, which the prober runs on, answers, refusals and silence read as they do on asyncio's own loop."""

    async def all_three() -> list[Reason]:
        async with naming(answering()) as server, naming(_forever) as mute:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
                plug.bind(("127.0.0.1", 0))
                closed = f"dns://127.0.0.1:{plug.getsockname()[1]}"
            targets = (server.target(), closed, mute.target())
            return [(await probe(target, timeout=0.3)).judgement.reason for target in targets]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        reasons = runner.run(all_three())
    assert reasons == [Reason.OK, Reason.CONNECT_REFUSED, Reason.ANSWER_TIMEOUT]


def test_31_a_deadline_that_passes_at_once_leaves_no_socket() -> None:
    """The socket of a query is closed even if the deadline passes before the prober's own loop has it ready."""

    async def ask() -> None:
        async with naming(answering()) as server:
            await probe(server.target())
            opened = len(_descriptors())
            results = [await probe(server.target(), timeout=1e-6) for _ in range(10)]
            assert {result.judgement.reason for result in results} == {Reason.ANSWER_TIMEOUT}
            await eventually(lambda: len(_descriptors()) <= opened, "all sockets are closed")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())


def _descriptors() -> list[Path]:
    return list(Path("/proc/self/fd").iterdir())


async def test_a_query_over_tls(tmp_path: Path) -> None:
    """The query goes over TLS; the certificate is verified, and a definition may require it to last."""
    authority = Authority.make(tmp_path)
    async with naming(answering(), tls=authority.context("127.0.0.1")) as server:
        trusted = Tls(ca=authority.reference)
        good = await probe(server.target(), transport="tls", tls=trusted)
        old = await probe(server.target(), transport="tls", tls=trusted, expect=Expect(certificate_left=31 * 86_400.0))
        unknown = await probe(server.target(), transport="tls")
    assert (good.judgement.reason, good.observation.tls_version) == (Reason.OK, "TLSv1.3")
    assert old.judgement.reason is Reason.CERTIFICATE_EXPIRING
    assert unknown.judgement.reason is Reason.CERTIFICATE_UNTRUSTED
