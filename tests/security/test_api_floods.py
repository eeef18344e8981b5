"""Floods of the api's port: streams that are reset at once, connections that say nothing, requests that never end.

Only the answers that others get during a flood count: the flood's own calls may fail.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc
import grpc.aio
import pytest
from hpack import Encoder

from peyvand.v1 import indicator_pb2, indicator_service_pb2_grpc
from peyvand.v1 import indicator_service_pb2 as messages
from services.api import server
from tests.support.cases.api.server import api, empty_api, served
from tests.support.cases.api.service import launch, register, serving
from tests.support.servers.authority import Authority
from tests.support.waiting import DEADLINE, eventually

__all__ = ["api", "empty_api", "launch", "register"]  # the fixtures

GOVERNMENT = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
STREAMS = 20_000
"""Streams that each connection of a flood opens and resets: a second's worth."""

HEADERS, RST_STREAM, SETTINGS, PING = 1, 3, 4, 6
END_HEADERS, ACK = 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL = struct.pack(">I", 8)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


class Flood:
    """A connection that opens streams, resets each at once, and never stops to wait."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._encoder = Encoder()
        self._in, self._out = b"", PREFACE + _frame(SETTINGS, 0, 0)
        self._stream = 1

    def run(self) -> None:
        """Send everything, unless the server ends the connection before."""
        with self._socket, suppress(OSError):
            self._socket.setblocking(False)
            while self._out or self._stream < 2 * STREAMS:
                readable, writable, _ = select.select([self._socket], [self._socket], [], DEADLINE)
                if readable:
                    received = self._socket.recv(1 << 16)
                    if not received:
                        return
                    self._answer(received)
                if writable:
                    self._out = self._out or self._streams(200)
                    self._out = self._out[self._socket.send(self._out) :]

    def _streams(self, count: int) -> bytes:
        frames: list[bytes] = []
        for _ in range(count):
            head = self._encoder.encode(
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", "/peyvand.v1.IndicatorService/GetIndicator"),
                    (":authority", "api"),
                    ("content-type", "application/grpc"),
                    ("te", "trailers"),
                ]
            )
            frames += _frame(HEADERS, END_HEADERS, self._stream, head), _frame(RST_STREAM, 0, self._stream, CANCEL)
            self._stream += 2
        return b"".join(frames)

    def _answer(self, received: bytes) -> None:
        """Acknowledge settings and pings, as a client must."""
        self._in += received
        while len(self._in) >= 9 and len(self._in) >= 9 + (length := int.from_bytes(self._in[:3], "big")):
            kind, flags, payload = self._in[3], self._in[4], self._in[9 : 9 + length]
            if kind in (SETTINGS, PING) and not flags & ACK:
                self._out += _frame(kind, ACK, 0, payload if kind == PING else b"")
            self._in = self._in[9 + length :]


async def test_others_are_answered_while_streams_are_reset_rapidly(launch, nats, register):
    """While sixteen connections open thousands of streams and reset each at once, every call of another client is answered."""
    async with serving(launch, nats, register) as (process, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        floods = [threading.Thread(target=Flood(process.listen).run) for _ in range(16)]
        for flood in floods:
            flood.start()
        codes = [await stub.GetIndicator(GOVERNMENT, timeout=DEADLINE).code()]
        while any(flood.is_alive() for flood in floods):
            codes.append(await stub.GetIndicator(GOVERNMENT, timeout=DEADLINE).code())
        assert set(codes) == {grpc.StatusCode.OK}
        assert len(codes) > 1


def _silent(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)


def _ended(connection: socket.socket) -> bool:
    """Return whether the server has ended a connection, after reading what it sent before."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


async def _answered(port: int) -> bool:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        return await stub.GetIndicator(GOVERNMENT, timeout=DEADLINE).code() is grpc.StatusCode.OK


async def test_connections_are_bounded(api, monkeypatch):
    """Of more connections than there may be, those beyond are ended at once; when others end there is room again."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 10)
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 2 * DEADLINE)  # none is ended for its silence
    async with served(api.state) as port:
        with ExitStack() as stack:
            connections = [stack.enter_context(_silent(port)) for _ in range(40)]
            assert await eventually(lambda: sum(map(_ended, connections)) == 30, "thirty connections are ended")
        assert await eventually(lambda: _answered(port), "there is room for a client")


@pytest.mark.parametrize("said", [b"", PREFACE], ids=["nothing", "half a beginning"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
async def test_a_connection_that_says_nothing_is_ended(api, tmp_path, monkeypatch, said, encrypted):
    """A connection that never speaks, or stops before its first frame or within its handshake of TLS, is ended."""
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.2)
    if encrypted and said:
        said = b"\x16\x03\x01\x02\x00\x01"  # the beginning of a TLS record
    async with served(api.state, credentials=_credentials(tmp_path) if encrypted else None) as port:
        with ExitStack() as stack:
            connections = [stack.enter_context(_silent(port)) for _ in range(10)]
            for connection in connections:
                connection.sendall(said)
            assert await eventually(lambda: all(map(_ended, connections)), "they are ended")


def _credentials(folder: Path) -> grpc.ServerCredentials:
    certificate = Authority.make(folder).server("127.0.0.1").read_bytes()
    return grpc.ssl_server_credentials([(certificate, certificate)])


async def test_a_connection_without_a_call_is_ended(api, monkeypatch):
    """A connection that has spoken and then makes no call is ended."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    async with served(api.state) as port:
        with _silent(port) as connection:
            connection.sendall(PREFACE + _frame(SETTINGS, 0, 0) + _frame(SETTINGS, ACK, 0))
            assert await eventually(lambda: _ended(connection), "it is ended")


async def test_a_connection_does_not_last_for_ever(api, monkeypatch):
    """After its time a connection is ended with its watch, UNAVAILABLE, and the next watch is on a new one."""
    monkeypatch.setattr(server, "AGE_SECONDS", 0.2)
    monkeypatch.setattr(server, "_AGE_GRACE_SECONDS", 0.2)
    async with served(api.state) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)

        async def watched_to_the_end() -> bool:
            watch = stub.WatchIndicators(request, timeout=DEADLINE, wait_for_ready=True)
            with suppress(grpc.aio.AioRpcError):  # the connection may have ended already
                await watch.read()
                return await watch.code() is grpc.StatusCode.UNAVAILABLE
            return False

        for _ in range(2):
            assert await eventually(watched_to_the_end, "the connection is ended")
