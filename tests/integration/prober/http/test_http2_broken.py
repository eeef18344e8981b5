"""HTTP/2 servers that break off, hang or speak another protocol. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from h2.errors import ErrorCodes

from services.core.model.outcome import Outcome, Reason
from tests.support.patient_loop import takes
from tests.support.servers.http2_server import Asked, Http2Handler, Reply, ask2, serving_http2
from tests.support.servers.http_server import silent


async def _reset(_: Asked, reply: Reply) -> None:
    reply.reset(ErrorCodes.INTERNAL_ERROR)


async def _reset_midway(_: Asked, reply: Reply) -> None:
    reply.headers(200)
    await reply.data(b"half", end=False)
    reply.reset(ErrorCodes.CANCEL)


async def _wants_http1(_: Asked, reply: Reply) -> None:
    reply.reset(ErrorCodes.HTTP_1_1_REQUIRED)


async def _refuse(_: Asked, reply: Reply) -> None:
    reply.raw(b"\0\0\x08\x07\0\0\0\0\0" + struct.pack(">II", 0, ErrorCodes.NO_ERROR))


async def _terminate(_: Asked, reply: Reply) -> None:
    reply.raw(b"\0\0\x08\x07\0\0\0\0\0" + struct.pack(">II", 1, ErrorCodes.ENHANCE_YOUR_CALM))


async def _close(_: Asked, reply: Reply) -> None:
    reply.headers(200)
    assert reply.talk.transport is not None
    reply.talk.transport.write_eof()


async def _abort(_: Asked, reply: Reply) -> None:
    linger = struct.pack("ii", 1, 0)
    assert reply.talk.transport is not None
    reply.talk.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    reply.talk.transport.abort()


async def _short(_: Asked, reply: Reply) -> None:
    reply.headers(200, [("content-length", "100")])
    reply.raw(b"\0\0\x04\0\x01\0\0\0\x01half")


async def _no_status(_: Asked, reply: Reply) -> None:
    reply.raw(b"\0\0\x01\x01\x05\0\0\0\x01\x90")  # HEADERS that hold an index of nothing


async def _bad_status(_: Asked, reply: Reply) -> None:
    reply.raw(b"\0\0\x06\x01\x05\0\0\0\x01\x08\x04abcd")  # HEADERS with the status `abcd`


async def _status_0(_: Asked, reply: Reply) -> None:
    reply.raw(b"\0\0\x05\x01\x05\0\0\0\x01\x08\x03000")  # HEADERS with the status `000`


@pytest.mark.parametrize(
    ("handler", "reason", "word"),
    [
        (_reset, Reason.CONNECTION_RESET, "INTERNAL_ERROR"),
        (_reset_midway, Reason.CONNECTION_RESET, "CANCEL"),
        (_wants_http1, Reason.PROTOCOL_ERROR, "HTTP_1_1_REQUIRED"),
        (_refuse, Reason.CONNECTION_CLOSED, "NO_ERROR"),
        (_terminate, Reason.CONNECTION_CLOSED, "ENHANCE_YOUR_CALM"),
        (_close, Reason.CONNECTION_CLOSED, "closed"),
        (_abort, Reason.CONNECTION_RESET, "reset"),
        (_short, Reason.PROTOCOL_ERROR, "rules of HTTP/2"),
        (_no_status, Reason.PROTOCOL_ERROR, "rules of HTTP/2"),
        (_bad_status, Reason.PROTOCOL_ERROR, "status"),
        (_status_0, Reason.PROTOCOL_ERROR, "status"),
    ],
)
async def test_32_one_attempt_however_it_breaks(handler: Http2Handler, reason: Reason, word: str) -> None:
    """A stream or connection that breaks is NOT_ANSWERED with its reason and the server's error code, tried once."""
    async with serving_http2(handler) as server:
        result = await ask2(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert word in result.judgement.detail
    assert server.connections == 1


async def test_a_goodbye_still_answers_what_it_has_taken() -> None:
    """A server that accepts no further request still answers ours, which is OK."""

    async def handle(_: Asked, reply: Reply) -> None:
        reply.raw(b"\0\0\x08\x07\0\0\0\0\0" + struct.pack(">II", 1, ErrorCodes.NO_ERROR))
        reply.headers(200)
        await reply.data(b"x" * 100_000)

    async with serving_http2(handle) as server:
        result = await ask2(server.url())
    assert (result.judgement.reason, result.observation.body_length) == (Reason.OK, 100_000)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (b"HTTP/1.1 505 No\r\n\r\n", "HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not speak HTTP/2"),
        (b"\x15\x03\x01\0\x02", "TLS"),
    ],
)
async def test_a_server_of_another_protocol(said: bytes, word: str) -> None:
    """A server that speaks HTTP/1.1, TLS or another protocol is PROTOCOL_ERROR, and the detail names the protocol."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        await reader.read()  # until the prober leaves
        writer.close()
        left.set()

    left = asyncio.Event()
    listener = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with listener, asyncio.timeout(10):
        result = await ask2(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")
        await left.wait()
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.PROTOCOL_ERROR)
    assert word in result.judgement.detail


def _integer(number: int) -> bytes:
    """Return what follows the prefix of a number (RFC 7541, 5.1)."""
    written = b""
    while number >= 128:
        written += bytes([number % 128 | 128])
        number //= 128
    return written + bytes([number])


@pytest.mark.parametrize(("size", "reason"), [(60_000, Reason.OK), (70_000, Reason.PROTOCOL_ERROR)])
async def test_headers_are_bounded(size: int, reason: Reason) -> None:
    """Headers of up to 64 KiB are read, larger ones are PROTOCOL_ERROR."""
    value = b"\x10\x07x-large\x7f" + _integer(size - 127) + b"~" * size
    parts = [b"\x88" + value[:16_000], *(value[at : at + 16_000] for at in range(16_000, len(value), 16_000))]

    async def handle(_: Asked, reply: Reply) -> None:
        for number, part in enumerate(parts):
            kind, flags = (1, 1) if number == 0 else (9, 0)
            last = 4 if number == len(parts) - 1 else 0
            reply.raw(len(part).to_bytes(3, "big") + bytes([kind, flags | last]) + b"\0\0\0\x01" + part)

    async with serving_http2(handle) as server:
        result = await ask2(server.url())
    assert result.judgement.reason is reason


async def _nothing(_: Asked, __: Reply) -> None:
    await asyncio.Event().wait()


async def _half_headers(_: Asked, reply: Reply) -> None:
    reply.raw(b"\0\0\x01\x01\0\0\0\0\x01\x88")  # HEADERS that CONTINUATION would end
    await asyncio.Event().wait()


async def _drip(_: Asked, reply: Reply) -> None:
    reply.headers(200)
    while True:
        await reply.data(b".", end=False)
        await asyncio.sleep(0.05)


async def _timed(url: str, reason: Reason, outcome: Outcome) -> None:
    result = await takes(0.3, ask2(url, timeout=0.3))
    assert (result.judgement.outcome, result.judgement.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [(_nothing, Reason.ANSWER_TIMEOUT), (_half_headers, Reason.ANSWER_TIMEOUT), (_drip, Reason.BODY_TIMEOUT)],
)
async def test_31_hung_http2_answers_end_in_time(handler: Http2Handler, reason: Reason) -> None:
    """No answer, half its headers, and a body that arrives byte by byte all end by the deadline, as NOT_ANSWERED."""
    async with serving_http2(handler) as server:
        await _timed(server.url(), reason, Outcome.NOT_ANSWERED)


async def test_31_hung_http2_handshakes_end_in_time() -> None:
    """A silent server ends by the deadline: over TLS in its handshake, plain without an answer."""
    with silent() as port:
        await _timed(f"https://127.0.0.1:{port}/", Reason.TLS_TIMEOUT, Outcome.NOT_CONNECTED)
        await _timed(f"http://127.0.0.1:{port}/", Reason.ANSWER_TIMEOUT, Outcome.NOT_ANSWERED)
