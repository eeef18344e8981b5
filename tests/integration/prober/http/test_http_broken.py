"""Probe kind http against servers that hang and break. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.patient_loop import takes
from tests.support.servers.http_server import Request, ask, forever, says, serving, silent, unaccepting
from tests.support.servers.name_server import name_server


async def _half_headers(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()
    await asyncio.Event().wait()


async def _drip(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _timed(url: str, reason: Reason, outcome: Outcome, environment: ProbeEnvironment | None = None) -> None:
    result = await takes(0.3, ask(url, timeout=0.3, environment=environment))
    assert (result.judgement.outcome, result.judgement.reason) == (outcome, reason)


async def test_31_hung_resolve_ends_in_time() -> None:
    """A silent name server ends the probe by its deadline, as RESOLVE_TIMEOUT."""
    async with name_server({}, mute=True) as (_, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver))
        await _timed("http://mute.test/", Reason.RESOLVE_TIMEOUT, Outcome.NOT_CONNECTED, environment)


async def test_31_hung_connect_ends_in_time() -> None:
    """A connect that hangs ends by the deadline, as CONNECT_TIMEOUT."""
    with unaccepting() as port:
        await _timed(f"http://127.0.0.1:{port}/", Reason.CONNECT_TIMEOUT, Outcome.NOT_CONNECTED)


async def test_31_hung_tls_ends_in_time() -> None:
    """A handshake that hangs ends by the deadline, as TLS_TIMEOUT."""
    with silent() as port:
        await _timed(f"https://127.0.0.1:{port}/", Reason.TLS_TIMEOUT, Outcome.NOT_CONNECTED)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [(forever, Reason.ANSWER_TIMEOUT), (_half_headers, Reason.ANSWER_TIMEOUT), (_drip, Reason.BODY_TIMEOUT)],
)
async def test_31_hung_answers_end_in_time(handler: object, reason: Reason) -> None:
    """No answer, half its headers, and a body that arrives byte by byte all end by the deadline, as NOT_ANSWERED."""
    async with serving(handler) as server:  # type: ignore[arg-type]
        await _timed(server.url(), reason, Outcome.NOT_ANSWERED)


async def _reset(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _close(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _close_midway(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def _babble(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")


async def _status_0(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 000 Fine\r\nContent-Length: 0\r\n\r\n")


async def _status_99(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 099\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_reset, Reason.CONNECTION_RESET),
        (_close, Reason.CONNECTION_CLOSED),
        (_close_midway, Reason.CONNECTION_CLOSED),
        (_babble, Reason.PROTOCOL_ERROR),
        (_status_0, Reason.PROTOCOL_ERROR),
        (_status_99, Reason.PROTOCOL_ERROR),
    ],
)
async def test_32_one_attempt_however_it_breaks(handler: object, reason: Reason) -> None:
    """A connection that breaks or does not speak HTTP is NOT_ANSWERED with its reason, and is not repeated."""
    async with serving(handler) as server:  # type: ignore[arg-type]
        result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert server.connections == 1


async def test_36_a_hung_target_delays_no_other() -> None:
    """While two hundred probes hang, another one is answered and ends before any of them."""
    async with serving(forever) as hung, serving(says()) as healthy:
        environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), True))))
        waiting = [asyncio.create_task(ask(hung.url(), timeout=1.5, environment=environment)) for _ in range(200)]
        await hung.reaches(200)
        result = await ask(healthy.url(), environment=environment)
        hanging = sum(not task.done() for task in waiting)
        results = await asyncio.gather(*waiting)
        await environment.close()
    assert result.judgement.reason is Reason.OK
    assert hanging == 200
    assert {other.judgement.reason for other in results} == {Reason.ANSWER_TIMEOUT}
