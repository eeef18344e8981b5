"""Probe kind tcp against real servers. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import socket

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import LineStep
from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.probes.tcp import GREETED, MAIL, probe, timed
from tests.support.servers.http_server import LOOPBACK, silent, unaccepting
from tests.support.servers.line_server import Connection, Handler, says_in_turn, talking
from tests.support.servers.name_server import name_server


async def test_connecting_is_all() -> None:
    """Without lines a connection is OK; its latency is the time to connect, and there is no other phase."""
    async with talking(says_in_turn()) as server:
        result = await probe(server.port)
    phases, latency = result.observation.phases, result.observation.latency
    assert result.judgement.reason is Reason.OK
    assert latency is not None
    assert phases.connect is not None
    assert phases.connect <= latency <= result.observation.duration
    assert (phases.resolve, phases.tls, phases.processing, phases.transfer) == (None, None, None, None)
    assert result.observation.addresses == ("127.0.0.1",)


async def test_a_slow_connection_is_late() -> None:
    """A connection that takes longer than the limit is LATE."""
    async with talking(says_in_turn()) as server:
        result = await probe(server.port, latency=1e-9)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.LATE, Reason.LATE)


async def test_refused() -> None:
    """Where nothing listens, the probe is NOT_CONNECTED/CONNECT_REFUSED."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        result = await probe(plug.getsockname()[1])
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)


async def test_28_every_address_is_tried_and_recorded() -> None:
    """A name whose first address refuses is reached by the next; both are recorded, and resolving is a phase."""
    names = {"two.test": ["127.0.0.1", "127.0.0.2"]}
    with socket.socket() as plug:
        plug.bind(("127.0.0.2", 0))
        plug.listen()
        async with name_server(names) as (_, resolver):
            environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
            result = await probe(plug.getsockname()[1], host="two.test", environment=environment)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses[-1] == "127.0.0.2"
    assert result.observation.phases.resolve is not None


async def test_37_egress_is_checked() -> None:
    """A target that the policy does not allow is UNKNOWN/EGRESS_DENIED, and is not contacted."""
    async with talking(says_in_turn()) as server:
        result = await probe(server.port, egress=Egress(("198.51.100.0/24",)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
    assert server.connections == 0


async def test_a_line_is_sent_with_a_line_feed() -> None:
    """A sent line ends in a line feed and in nothing else; no reset overtakes the last line."""

    async def handle(connection: Connection) -> None:
        await connection.hear()
        await connection.hear()

    async with talking(handle) as server:
        result = await probe(server.port, LineStep(send="QUIT"))
        await server.until(lambda: server.heard == [b"QUIT\n", b""])
    assert result.judgement.reason is Reason.OK


async def test_lines_are_cut_wherever_they_arrive() -> None:
    """Lines that come in pieces, several at once, ended by LF or CRLF, or by the end of the connection, are lines."""

    async def handle(connection: Connection) -> None:
        for piece in (b"2", b"20 a\n25", b"0 b\r\n354 c\n3", b"00 d"):
            await connection.say(piece)

    async with talking(handle) as server:
        result = await probe(
            server.port, *(LineStep(expect=f"^{line}$") for line in ("220 a", "250 b", "354 c", "300 d"))
        )
    assert result.judgement.reason is Reason.OK


def _drip(data: bytes) -> Handler:
    async def handle(connection: Connection) -> None:
        while True:
            await connection.say(data)
            await asyncio.sleep(0.02)

    return handle


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_other_lines_are_a_wrong_answer(then: str) -> None:
    """When other lines came than the expected one, and no more will come, the answer is INVALID/LINE."""
    async with talking(says_in_turn(b"554 no service for 10.0.0.1\r\n", then=then)) as server:
        result = await probe(server.port, *MAIL, params={"who": "x"})
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.LINE)
    assert result.judgement.detail == "no line matches ^220 "
    assert result.observation.failure is not None
    assert not result.observation.failure.timed_out
    assert server.connections == 1


async def test_31_other_lines_end_in_time() -> None:
    """Other lines than the expected one, and then none, or more and more, are INVALID/LINE by the deadline."""
    for handler in (says_in_turn(b"554 no\r\n"), _drip(b"noise\n")):
        async with talking(handler) as server:
            result = await timed(server.port, Reason.LINE, *GREETED)
        assert result.judgement.outcome is Outcome.INVALID
        assert result.observation.failure is not None
        assert result.observation.failure.timed_out


async def test_31_silence_ends_in_time() -> None:
    """A server that is silent, at first or later, is NOT_ANSWERED/ANSWER_TIMEOUT by the deadline."""
    with silent() as port:
        result = await timed(port, Reason.ANSWER_TIMEOUT, *GREETED)
    assert result.judgement.outcome is Outcome.NOT_ANSWERED
    async with talking(says_in_turn(b"220-first\r\n220 last\r\n", b"")) as server:
        await timed(server.port, Reason.ANSWER_TIMEOUT, *MAIL, params={"who": "x"})


async def test_31_a_dripping_line_ends_in_time() -> None:
    """A line that never ends is NOT_ANSWERED/BODY_TIMEOUT by the deadline."""
    async with talking(_drip(b".")) as server:
        result = await timed(server.port, Reason.BODY_TIMEOUT, *GREETED)
    assert result.judgement.outcome is Outcome.NOT_ANSWERED


async def test_31_hung_connect_ends_in_time() -> None:
    """A connect that hangs ends by the deadline, as CONNECT_TIMEOUT."""
    with unaccepting() as port:
        result = await timed(port, Reason.CONNECT_TIMEOUT)
    assert result.judgement.outcome is Outcome.NOT_CONNECTED


async def test_31_hung_resolve_ends_in_time() -> None:
    """A silent name server ends the probe by its deadline, as RESOLVE_TIMEOUT."""
    async with name_server({}, mute=True) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
        result = await timed(25, Reason.RESOLVE_TIMEOUT, host="mute.test", environment=environment)
    assert result.judgement.outcome is Outcome.NOT_CONNECTED


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (says_in_turn(then="close"), Reason.CONNECTION_CLOSED),
        (says_in_turn(then="reset"), Reason.CONNECTION_RESET),
        (says_in_turn(b"x" * 65_537 + b"\n220 \n"), Reason.PROTOCOL_ERROR),
        (says_in_turn(b"x" * 70_000), Reason.PROTOCOL_ERROR),
        (says_in_turn(b"noise\n" * 200_000), Reason.PROTOCOL_ERROR),
    ],
)
async def test_32_one_attempt_however_it_breaks(handler: Handler, reason: Reason) -> None:
    """An end without a line, a line beyond 64 KiB and data beyond 1 MiB are NOT_ANSWERED, tried once."""
    async with talking(handler) as server:
        result = await probe(server.port, *GREETED)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert server.connections == 1


async def test_36_a_hung_target_delays_no_other() -> None:
    """While two hundred dialogues hang, another one ends before any of them."""
    async with talking(says_in_turn()) as hung, talking(says_in_turn(b"220 ready\n")) as healthy:
        waiting = [asyncio.create_task(probe(hung.port, *GREETED, timeout=30)) for _ in range(200)]
        await hung.until(lambda: hung.connections == 200)
        result = await probe(healthy.port, *GREETED)
        hanging = sum(not task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert result.judgement.reason is Reason.OK
    assert hanging == 200
