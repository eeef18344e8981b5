"""Dialogues over TCP: lines, prompts, bytes, groups and the change to TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import LineStep, Tls
from tests.support.cases.probes.tcp import GREETED, MAIL, probe, timed
from tests.support.servers.authority import Authority
from tests.support.servers.line_server import Connection, says_in_turn, talking


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


SWITCH = (LineStep(expect="^220", send="STARTTLS\r"), LineStep(expect="^220", starttls=True), LineStep(send="NOOP\r"))


async def test_25_a_talk_goes_over_to_tls(tmp_path: Path) -> None:
    """After starttls a dialogue continues over TLS: certificate and version are reported, and tls is its own phase."""
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
        result = await timed(server.port, Reason.TLS_TIMEOUT, *SWITCH)
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


async def test_other_bytes_end_a_talk_before_tls() -> None:
    """A dialogue that would continue over TLS ends at wrong bytes: it has no TLS phase."""
    async with talking(lambda connection: connection.say(b"N")) as server:
        result = await probe(server.port, LineStep(expect_hex=b"S".hex(), starttls=True))
    assert result.judgement.reason is Reason.LINE
    assert result.observation.phases.tls is None
