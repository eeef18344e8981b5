"""Probe kind tcp against real servers. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import LineStep, Tls
from services.core.model.register import Egress
from services.prober.attempt import ProbeResult
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.patient_loop import takes
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, ask, silent, unaccepting
from tests.support.servers.line_server import Connection, Handler, says_in_turn, talking
from tests.support.servers.name_server import name_server

GREETED = (LineStep(expect="^220 "),)
MAIL = (LineStep(expect="^220 ", send="EHLO ${who}\r"), LineStep(expect="^250 OK$"))


async def probe(port: int, *lines: LineStep, host: str = "127.0.0.1", **more: object) -> ProbeResult:
    return await ask(f"tcp://{host}:{port}", kind="tcp", lines=lines, **more)  # type: ignore[arg-type]


async def _timed(port: int, reason: Reason, *lines: LineStep, **more: Any) -> ProbeResult:
    result = await takes(0.3, probe(port, *lines, timeout=0.3, **more))
    assert result.judgement.reason is reason
    return result


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


async def test_29_a_talk_has_its_phases() -> None:
    """A dialogue is OK once each expected line came; params fill the lines sent; three phases are timed."""
    async with talking(says_in_turn(b"220 ready\r\n", b"250-one\r\n250 OK\r\n")) as server:
        result = await probe(server.port, *MAIL, params={"who": "monitor.example"})
    phases = result.observation.phases
    parts = [phases.connect, phases.processing, phases.transfer]
    assert result.judgement.reason is Reason.OK
    assert server.heard == [b"EHLO monitor.example\r\n"]
    assert all(part is not None for part in parts)
    assert result.observation.latency is not None
    assert sum(part or 0.0 for part in parts) <= result.observation.latency + 1e-6
    assert result.observation.latency <= result.observation.duration
    assert (phases.tls, result.observation.tls_version, result.observation.certificate) == (None, "", None)


async def test_a_line_is_sent_with_a_line_feed() -> None:
    """What is sent ends in a line feed and in nothing else; no reset overtakes the last line."""

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
            result = await _timed(server.port, Reason.LINE, *GREETED)
        assert result.judgement.outcome is Outcome.INVALID
        assert result.observation.failure is not None
        assert result.observation.failure.timed_out


async def test_31_silence_ends_in_time() -> None:
    """A server that is silent, at first or later, is NOT_ANSWERED/ANSWER_TIMEOUT by the deadline."""
    with silent() as port:
        result = await _timed(port, Reason.ANSWER_TIMEOUT, *GREETED)
    assert result.judgement.outcome is Outcome.NOT_ANSWERED
    async with talking(says_in_turn(b"220-first\r\n220 last\r\n", b"")) as server:
        await _timed(server.port, Reason.ANSWER_TIMEOUT, *MAIL, params={"who": "x"})


async def test_31_a_dripping_line_ends_in_time() -> None:
    """A line that never ends is NOT_ANSWERED/BODY_TIMEOUT by the deadline."""
    async with talking(_drip(b".")) as server:
        result = await _timed(server.port, Reason.BODY_TIMEOUT, *GREETED)
    assert result.judgement.outcome is Outcome.NOT_ANSWERED


async def test_31_hung_connect_ends_in_time() -> None:
    """A connect that hangs ends by the deadline, as CONNECT_TIMEOUT."""
    with unaccepting() as port:
        await _timed(port, Reason.CONNECT_TIMEOUT)


async def test_31_hung_resolve_ends_in_time() -> None:
    """A silent name server ends the probe by its deadline, as RESOLVE_TIMEOUT."""
    async with name_server({}, mute=True) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK), resolver=resolver))
        await _timed(25, Reason.RESOLVE_TIMEOUT, host="mute.test", environment=environment)


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


SWITCH = (LineStep(expect="^220", send="STARTTLS\r"), LineStep(expect="^220", starttls=True), LineStep(send="NOOP\r"))


async def test_25_a_talk_goes_over_to_tls(tmp_path: Path) -> None:
    """After starttls a dialogue continues over TLS: certificate facts and version are there, tls is its own phase."""
    authority = Authority.make(tmp_path)

    async def handle(connection: Connection) -> None:
        await says_in_turn(b"220 hi\r\n", b"220 go\r\n", tls=authority.context("127.0.0.1"), then="")(connection)
        await connection.hear()
        await connection.say(b"250 secret\r\n")

    async with talking(handle) as server:
        result = await probe(server.port, *SWITCH, LineStep(expect="secret"), tls=Tls(ca=authority.reference))
    observation = result.observation
    phases = observation.phases
    parts = [phases.connect, phases.processing, phases.transfer, phases.tls]
    assert result.judgement.reason is Reason.OK
    assert server.heard == [b"STARTTLS\r\n", b"NOOP\r\n"]
    assert observation.certificate is not None
    assert observation.tls_version == "TLSv1.3"
    assert all(part is not None for part in parts)
    assert observation.latency is not None
    assert sum(part or 0.0 for part in parts) <= observation.latency + 1e-6 <= observation.duration + 1e-6


async def test_a_talk_may_begin_with_tls(tmp_path: Path) -> None:
    """With starttls as its first item a dialogue is over TLS from the start."""
    authority = Authority.make(tmp_path)
    async with talking(says_in_turn(b"220 hi\r\n"), tls=authority.context("127.0.0.1")) as server:
        result = await probe(server.port, LineStep(starttls=True), *GREETED, tls=Tls(ca=authority.reference))
    assert result.judgement.reason is Reason.OK
    assert result.observation.phases.tls is not None


async def test_24_facts_are_reported_when_a_talk_fails_for_its_certificate(tmp_path: Path) -> None:
    """A dialogue whose certificate is not trusted is NOT_CONNECTED, and sends no more; its facts are reported."""
    authority = Authority.make(tmp_path)
    handler = says_in_turn(b"220 hi\n", b"220 go\n", tls=authority.context("127.0.0.1", self_signed=True))
    async with talking(handler) as server:
        result = await probe(server.port, *SWITCH, tls=Tls(ca=authority.reference))
    assert result.judgement.reason is Reason.CERTIFICATE_UNTRUSTED
    assert result.observation.certificate is not None
    assert server.heard == [b"STARTTLS\r\n"]


async def test_plain_text_behind_the_agreement_is_refused() -> None:
    """Plain text that a server sends after it agreed to TLS is never taken for data over TLS."""
    async with talking(says_in_turn(b"220 hi\n", b"220 go\n250 injected\n")) as server:
        result = await probe(server.port, *SWITCH, LineStep(expect="injected"))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.PROTOCOL_ERROR)


async def test_31_a_hung_switch_ends_in_time() -> None:
    """A handshake that hangs within a dialogue is NOT_CONNECTED/TLS_TIMEOUT by the deadline."""
    async with talking(says_in_turn(b"220 hi\n", b"220 go\n")) as server:
        result = await _timed(server.port, Reason.TLS_TIMEOUT, *SWITCH)
    assert result.judgement.outcome is Outcome.NOT_CONNECTED


async def test_groups_of_what_came_are_sent() -> None:
    r"""``\1`` in a line is what the last pattern's group matched, as IRC servers demand."""

    async def chat(connection: Connection) -> None:
        await connection.hear()
        await connection.say(b":irc NOTICE wait\r\nPING :4711 x\r\n")
        if await connection.hear() == b"PONG 4711/x \\\r\n":
            await connection.say(b":irc 001 prober :welcome\r\n")
        await connection.wait()

    lines = (
        LineStep(send="NICK prober\r"),
        LineStep(expect="PING :([0-9]+) (.)", send="PONG \\1/\\2 \\\r"),
        LineStep(expect="^:irc 001"),
    )
    async with talking(chat) as server:
        result = await probe(server.port, *lines)
    assert result.judgement.reason is Reason.OK


async def test_a_prompt_without_a_line_feed() -> None:
    """A prompt matches as it arrives, byte by byte, also after whole lines; without ``prompt`` its line never ends."""

    async def ask_for_a_name(connection: Connection) -> None:
        await connection.say(b"welcome\r\n")
        for byte in b"login: ":
            await connection.say(bytes([byte]))
        await connection.hear()
        await connection.say(b"password: ")
        await connection.wait()

    async with talking(ask_for_a_name) as server:
        good = await probe(
            server.port, LineStep(expect="login: $", prompt=True, send="x"), LineStep("word: ", prompt=True)
        )
        bad = await probe(server.port, LineStep(expect="login: $"), timeout=0.3)
    assert good.judgement.reason is Reason.OK
    assert bad.judgement.reason is Reason.LINE


@pytest.mark.parametrize(
    ("first", "reason"), [(b"SSH-2.0-x\r\n", Reason.OK), (b"HTTP/1.1 400\r\n", Reason.LINE), (b"SSH", Reason.LINE)]
)
async def test_bytes_at_the_beginning(first: bytes, reason: Reason) -> None:
    """Bytes must come first; others are INVALID/LINE, and so are too few of them at the end."""

    async def shell(connection: Connection) -> None:
        await connection.say(first)
        if first.startswith(b"SSH-") and await connection.hear(3) != b"\x00\xff\n":
            connection.reset()

    lines = (LineStep(expect_hex=b"SSH-".hex(), send_hex="00ff0a"), LineStep(expect="^2.0-x$"))
    async with talking(shell) as server:
        result = await probe(server.port, *lines)
    assert result.judgement.reason is (reason if len(first) > 3 else Reason.CONNECTION_CLOSED)
