"""Probe kind tls, at once and by STARTTLS, against real servers. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from time import time

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Tls
from services.prober.attempt import ProbeResult
from tests.support.patient_loop import takes
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import ask, silent, unaccepting
from tests.support.servers.line_server import Connection, Handler, says_in_turn, talking

_DAY = 86_400
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"

SMTP_OFFER = b"250-mail.example\r\n250-SIZE 100\r\n250-STARTTLS\r\n250 HELP\r\n"
SMTP = (b"220-mail.example\r\n220 ESMTP\r\n", SMTP_OFFER, b"220 go on\r\n")
IMAP = (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n", b"* 1 EXISTS\r\na001 OK go on\r\n")
POSTGRES = (b"", b"S")
TALKS = {"smtp": SMTP, "imap": IMAP, "postgres": POSTGRES}
HEARD = {
    "smtp": [b"EHLO prober.invalid\r\n", b"STARTTLS\r\n"],
    "imap": [b"a001 STARTTLS\r\n"],
    "postgres": [_SSL_REQUEST],
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


async def probe(port: int, starttls: str = "", **more: object) -> ProbeResult:
    return await ask(f"tls://127.0.0.1:{port}", kind="tls", starttls=starttls, **more)  # type: ignore[arg-type]


def serves(way: str, *answers: bytes, tls: ssl.SSLContext | None = None, then: str = "wait") -> Handler:
    """Serve these answers, or the right ones, then switch to TLS if there is a context."""
    return says_in_turn(*(answers or TALKS[way]), tls=tls, then=then, asked=8 if way == "postgres" else 0)


async def _timed(port: int, starttls: str, reason: Reason) -> None:
    result = await takes(0.3, probe(port, starttls, timeout=0.3))
    assert result.judgement.reason is reason


async def test_a_handshake_is_all(authority: Authority) -> None:
    """A handshake at once is OK: its latency is connecting and the handshake, with no other phase, and facts are
    reported. The server sees its end as well.
    """
    async with talking(says_in_turn(), tls=authority.context("127.0.0.1")) as server:
        result = await probe(server.port, tls=Tls(ca=authority.reference))
        await server.until(lambda: server.connections == 1)
    observation = result.observation
    phases = observation.phases
    assert result.judgement.reason is Reason.OK
    assert (phases.resolve, phases.processing, phases.transfer) == (None, None, None)
    assert observation.latency is not None
    assert (phases.connect or 0.0) + (phases.tls or 0.0) <= observation.latency + 1e-6 <= observation.duration + 1e-6
    assert observation.tls_version == "TLSv1.3"
    assert observation.certificate is not None
    assert observation.certificate.names == ("127.0.0.1",)


async def test_a_slow_handshake_is_late(authority: Authority) -> None:
    """A handshake that ends after the limit is LATE."""
    async with talking(says_in_turn(), tls=authority.context("127.0.0.1")) as server:
        result = await probe(server.port, tls=Tls(ca=authority.reference), latency=1e-9)
    assert result.judgement.reason is Reason.LATE


@pytest.mark.parametrize("way", list(TALKS))
async def test_25_starttls_yields_certificate_facts(way: str, authority: Authority) -> None:
    """Each protocol switches to TLS in its own way, and the certificate, version and phases are reported, each once."""
    async with talking(serves(way, tls=authority.context("127.0.0.1", days=(-1, 30)))) as server:
        result = await probe(server.port, way, tls=Tls(ca=authority.reference))
    observation = result.observation
    phases = observation.phases
    parts = [phases.connect, phases.processing, phases.transfer, phases.tls]
    assert result.judgement.reason is Reason.OK
    assert server.heard == HEARD[way]
    assert observation.certificate is not None
    assert observation.certificate.earliest_expiry == pytest.approx(time() + 30 * _DAY, abs=60)
    assert observation.tls_version == "TLSv1.3"
    assert all(part is not None for part in parts)
    assert observation.latency is not None
    assert sum(part or 0.0 for part in parts) <= observation.latency + 1e-6 <= observation.duration + 1e-6


@pytest.mark.parametrize("way", ["", *TALKS])
@pytest.mark.parametrize(
    ("names", "days", "self_signed", "reason"),
    [
        ("127.0.0.1", (-30, -2), False, Reason.CERTIFICATE_EXPIRED),
        ("127.0.0.1", (2, 30), False, Reason.CERTIFICATE_NOT_YET_VALID),
        ("127.0.0.1", (-1, 30), True, Reason.CERTIFICATE_UNTRUSTED),
        ("mail.example", (-1, 30), False, Reason.CERTIFICATE_NAME_MISMATCH),
    ],
)
async def test_24_25_facts_are_reported_when_verification_fails(
    way: str, names: str, days: tuple[float, float], self_signed: bool, reason: Reason, authority: Authority
) -> None:
    """A certificate that is not trusted is NOT_CONNECTED with its reason, and its real facts are still reported."""
    tls = authority.context(names, days=days, self_signed=self_signed)
    server_of = talking(serves(way, tls=tls)) if way else talking(says_in_turn(), tls=tls)
    async with server_of as server:
        result = await probe(server.port, way, tls=Tls(ca=authority.reference))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, reason)
    assert result.observation.certificate is not None
    assert result.observation.certificate.names == (names,)
    assert result.observation.certificate.earliest_expiry == pytest.approx(time() + days[1] * _DAY, abs=60)
    assert result.observation.tls_version == "TLSv1.3"


async def test_21_the_override_is_what_is_verified(authority: Authority) -> None:
    """With server_name the certificate of that name passes, after STARTTLS as well."""
    async with talking(serves("smtp", tls=authority.context("mail.example"))) as server:
        result = await probe(server.port, "smtp", tls=Tls(ca=authority.reference, server_name="mail.example"))
    assert result.judgement.reason is Reason.OK


@pytest.mark.parametrize(
    ("way", "answers"),
    [
        ("smtp", (b"554 no service\r\n",)),
        ("smtp", (b"220 hi\r\n", b"502 what\r\n")),
        ("smtp", (b"220 hi\r\n", b"250-mail\r\n250 XSTARTTLS\r\n")),
        ("smtp", (b"220 hi\r\n", b"250\r\n")),
        ("smtp", (b"220 hi\r\n", b"250-mail\r\n250 starttls\r\n", b"454-not\r\n454 now\r\n")),
        ("imap", (b"* BYE too busy\r\n",)),
        ("imap", (b"* PREAUTH known\r\n",)),
        ("imap", (b"* OK hi\r\n", b"a001 NO not now\r\n")),
        ("imap", (b"* OK hi\r\n", b"a001 BAD what\r\n")),
        ("imap", (b"* OK hi\r\n", b"* NO disk\r\n* BYE\r\n")),
        ("postgres", (b"", b"N")),
        ("postgres", (b"", b"E\x00\x00\x00\x10SFATAL\x00")),
    ],
)
async def test_starttls_refused(way: str, answers: tuple[bytes, ...]) -> None:
    """A server that does not offer TLS, or refuses it, is NOT_CONNECTED/STARTTLS_REFUSED."""
    async with talking(serves(way, *answers)) as server:
        result = await probe(server.port, way)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.STARTTLS_REFUSED)
    assert result.observation.certificate is None
    assert server.connections == 1


@pytest.mark.parametrize(
    ("way", "answers"),
    [
        ("smtp", (b"SSH-2.0-OpenSSH_9.6\r\n",)),
        ("smtp", (b"220 hi\r\n", b"250-a\r\nnoise\r\n")),
        ("smtp", (b"x" * 70_000,)),
        ("smtp", (b"220-hi\r\n" * 200_000,)),
        ("imap", (b"220 mail.example\r\n",)),
        ("imap", (b"\r\n",)),
        ("imap", (b"* OK hi\r\n", b"a002 OK go\r\n")),
        ("imap", (b"* OK hi\r\n", b"a001 MAYBE\r\n")),
        ("postgres", (b"", b"HTTP/1.1 400\r\n")),
        ("smtp", (*SMTP[:2], SMTP[2] + b"250 injected\r\n")),
        ("imap", (IMAP[0], IMAP[1] + b"* injected\r\n")),
        ("postgres", (b"", b"Sinjected")),
    ],
)
async def test_garbage_is_no_protocol(way: str, answers: tuple[bytes, ...]) -> None:
    """Data outside the protocol, or plain text after the agreement, is NOT_ANSWERED/PROTOCOL_ERROR."""
    async with talking(serves(way, *answers)) as server:
        result = await probe(server.port, way)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.PROTOCOL_ERROR)


@pytest.mark.parametrize("way", ["", *TALKS])
async def test_what_answers_the_handshake_speaks_no_tls(way: str) -> None:
    """Plain text in place of a handshake is NOT_CONNECTED/TLS_NOT_SPOKEN."""

    async def handle(connection: Connection) -> None:
        if way:
            await serves(way, then="")(connection)
        await connection.hear(20)
        await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await connection.wait()

    async with talking(handle) as server:
        result = await probe(server.port, way)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.TLS_NOT_SPOKEN)


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(("way", "whole"), [("smtp", False), ("imap", False), ("postgres", False), ("smtp", True)])
async def test_32_one_attempt_however_it_breaks(way: str, then: str, whole: bool) -> None:
    """A connection that ends in plain text is NOT_ANSWERED; once TLS is under way it is NOT_CONNECTED/TLS_FAILED."""
    handler = serves(way, then=then) if whole else says_in_turn(b"", b"", then=then, asked=8)
    silent_until_asked = way == "postgres" or whole
    async with talking(handler if silent_until_asked else says_in_turn(then=then)) as server:
        result = await probe(server.port, way)
    broken = Reason.CONNECTION_CLOSED if then == "close" else Reason.CONNECTION_RESET
    assert result.judgement.reason is (Reason.TLS_FAILED if whole else broken)
    assert server.connections == 1


@pytest.mark.parametrize("way", list(TALKS))
async def test_31_hung_starttls_ends_in_time(way: str) -> None:
    """A server that is silent before TLS is ANSWER_TIMEOUT, one that falls silent in the handshake TLS_TIMEOUT."""
    with silent() as port:
        await _timed(port, way, Reason.ANSWER_TIMEOUT)
    async with talking(serves(way)) as server:
        await _timed(server.port, way, Reason.TLS_TIMEOUT)


async def test_31_a_dripping_greeting_ends_in_time() -> None:
    """A greeting that never ends, byte by byte or line by line, is BODY_TIMEOUT by the deadline."""
    for drop in (b".", b"220-more\r\n"):

        async def drip(connection: Connection, drop: bytes = drop) -> None:
            while True:
                await connection.say(drop)
                await asyncio.sleep(0.02)

        async with talking(drip) as server:
            await _timed(server.port, "smtp", Reason.BODY_TIMEOUT)


async def test_31_hung_tls_ends_in_time() -> None:
    """A connect that hangs is CONNECT_TIMEOUT, a handshake that hangs TLS_TIMEOUT, both by the deadline."""
    with unaccepting() as port:
        await _timed(port, "", Reason.CONNECT_TIMEOUT)
    with silent() as port:
        await _timed(port, "", Reason.TLS_TIMEOUT)


async def test_own_authority_missing(tmp_path: Path) -> None:
    """A missing CA file of ours is UNKNOWN/OWN_CREDENTIAL, and the target is not contacted."""
    async with talking(says_in_turn()) as server:
        result = await probe(server.port, tls=Tls(ca=f"file:{tmp_path / 'gone.pem'}"))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert server.connections == 0
