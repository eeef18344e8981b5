"""Probe kind dns against name servers that misbehave. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import socket

import dns.message
import dns.rrset
import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import DnsQuery
from services.prober.attempt import ProbeResult
from tests.support.limits.descriptors import no_descriptor_left
from tests.support.patient_loop import takes
from tests.support.servers.dns_server import Answer, Asked, naming
from tests.support.servers.http_server import ask, silent, unaccepting
from tests.support.servers.line_server import Connection, Handler, talking

TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


async def probe(target: str, *, transport: str = "udp", **more: object) -> ProbeResult:
    return await ask(target, kind="dns", query=DnsQuery("www.tax.example", transport=transport), **more)  # type: ignore[arg-type]


async def _timed(target: str, reason: Reason, **more: object) -> ProbeResult:
    result = await takes(0.3, probe(target, timeout=0.3, **more))  # type: ignore[arg-type]
    assert result.judgement.reason is reason
    return result


def _spoilt(change: str) -> Answer:
    async def answer(asked: Asked) -> None:
        response = dns.message.make_response(asked.message)
        response.answer.append(dns.rrset.from_text("www.tax.example.", 60, "IN", "A", "192.0.2.1"))
        wire = response.to_wire()
        spoilt = {
            "short": wire[:7],
            "cut": wire[:-2],
            "count": wire[:7] + b"\x09" + wire[8:],
            "length": wire[:-5] + b"\x07" + wire[-4:],
            "question": asked.message.to_wire(),
        }
        asked.reply(spoilt[change])

    return answer


@TRANSPORTS
@pytest.mark.parametrize("change", ["short", "cut", "count", "length", "question"])
async def test_a_malformed_answer(transport: str, change: str) -> None:
    """An answer that is cut off, has wrong counts or is no answer at all is NOT_ANSWERED/PROTOCOL_ERROR."""
    async with naming(_spoilt(change)) as server:
        result = await probe(server.target(), transport=transport)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.PROTOCOL_ERROR)
    assert len(server.asked) == 1


async def _forever(_: Asked) -> None:
    await asyncio.Event().wait()


async def _strangers(asked: Asked) -> None:
    while True:
        asked.reply(b"\0\0" + b"\x81\x80" + b"\0" * 8)
        await asyncio.sleep(0.02)


@TRANSPORTS
async def test_31_hung_questions_end_in_time(transport: str) -> None:
    """A silent name server is NOT_ANSWERED/ANSWER_TIMEOUT by the deadline, after one query."""
    async with naming(_forever) as server:
        result = await _timed(server.target(), Reason.ANSWER_TIMEOUT, transport=transport)
    assert result.judgement.outcome is Outcome.NOT_ANSWERED
    assert result.observation.dns is None
    assert len(server.asked) == 1


async def test_31_foreign_answers_end_in_time() -> None:
    """Answers to other queries, more and more of them, do not keep a probe beyond its deadline."""
    async with naming(_strangers) as server:
        result = await _timed(server.target(), Reason.ANSWER_TIMEOUT)
    assert result.observation.dns is None


async def test_31_hung_connections_end_in_time() -> None:
    """Over TCP a connect that hangs is CONNECT_TIMEOUT, a server that reads no query ANSWER_TIMEOUT."""
    with unaccepting() as port:
        await _timed(f"dns://127.0.0.1:{port}", Reason.CONNECT_TIMEOUT, transport="tcp")
    with silent() as port:
        await _timed(f"dns://127.0.0.1:{port}", Reason.ANSWER_TIMEOUT, transport="tcp")


async def test_31_a_dripping_answer_ends_in_time() -> None:
    """Over TCP an answer that comes byte by byte is BODY_TIMEOUT by the deadline."""

    async def drip(connection: Connection) -> None:
        await connection.say(b"\x02\x00")
        while True:
            await connection.say(b"\0")
            await asyncio.sleep(0.02)

    async with talking(drip) as server:
        await _timed(f"dns://127.0.0.1:{server.port}", Reason.BODY_TIMEOUT, transport="tcp")


def _after_question(then: str, said: bytes = b"") -> Handler:
    async def handle(connection: Connection) -> None:
        await connection.hear(int.from_bytes(await connection.hear(2), "big"))
        await connection.say(said)
        if then == "reset":
            connection.reset()

    return handle


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_after_question("close"), Reason.CONNECTION_CLOSED),
        (_after_question("close", b"\x00\x20half"), Reason.CONNECTION_CLOSED),
        (_after_question("reset"), Reason.CONNECTION_RESET),
    ],
)
async def test_32_one_attempt_however_it_breaks(handler: Handler, reason: Reason) -> None:
    """Over TCP a connection that ends before the answer is NOT_ANSWERED, and is not repeated."""
    async with talking(handler) as server:
        result = await probe(f"dns://127.0.0.1:{server.port}", transport="tcp")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert server.connections == 1


@TRANSPORTS
async def test_refused(transport: str) -> None:
    """Where nothing listens, the probe is NOT_CONNECTED/CONNECT_REFUSED, over UDP as soon as the network reports it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM) as plug:
        plug.bind(("127.0.0.1", 0))
        port = plug.getsockname()[1]
    result = await probe(f"dns://127.0.0.1:{port}", transport=transport)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)


async def test_local_resources_over_udp() -> None:
    """When this machine has no descriptor left, the outcome is UNKNOWN/LOCAL_RESOURCES, not the name server's failure."""
    with no_descriptor_left():
        result = await probe("dns://127.0.0.1:53")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.LOCAL_RESOURCES)
