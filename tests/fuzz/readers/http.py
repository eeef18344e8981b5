"""Readers of answers over HTTP/1, HTTP/2 and gRPC, as connections receive them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress

from grpc_health.v1 import health_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection

from services.prober.grpc import HEALTH_CHECK, GrpcAnswerError
from services.prober.grpc.call import _code, _messages
from services.prober.http import (
    DecodeError,
    Http2Connection,
    Http2Request,
    HttpConnection,
    WireRequest,
    decode_body,
    decode_headers,
)
from services.prober.http.http1 import Http1Connection
from services.prober.transport import ProbeFailedError
from tests.fuzz.reader import Reader
from tests.support.servers.deaf_transport import fed

__all__ = ["READERS"]

_BODY_LIMIT = 1 << 16
_ACCEPTED = frozenset({"gzip", "deflate"})
_REQUEST = Http2Request(((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"tax"), (b":path", b"/")))


def _exchange(make: Callable[[asyncio.Future[None]], HttpConnection], data: bytes) -> HttpConnection:
    """Answer a request with bytes, in pieces of the size that the first byte gives, and end the connection."""
    size = data[0] or len(data) if data else 1
    connection, _ = fed(make, (data[at : at + size] for at in range(1, len(data), size)), closes=True)
    if connection.done.done() and (crash := connection.done.exception()) is not None:
        raise crash
    assert connection.ended
    assert sum(map(len, connection.body)) <= _BODY_LIMIT
    return connection


def _http1(data: bytes) -> None:
    request = WireRequest(b"GET / HTTP/1.1\r\nHost: tax\r\n\r\n", "tax", 80, None, _BODY_LIMIT, head=False)
    connection = _exchange(lambda done: Http1Connection(done, request), data)
    headers = decode_headers(connection.headers)
    with suppress(DecodeError):
        assert len(decode_body(b"".join(connection.body), headers, _ACCEPTED, _BODY_LIMIT)) <= _BODY_LIMIT


def _http2(data: bytes) -> Http2Connection:
    request = WireRequest(lambda: _REQUEST, "tax", 80, None, _BODY_LIMIT, head=False)
    connection = _exchange(lambda done: Http2Connection(done, request), data)
    assert isinstance(connection, Http2Connection)
    return connection


def _grpc_call(data: bytes) -> None:
    connection = _http2(data)
    if connection.failure is None and _code(connection) == "OK":
        for message in _messages(b"".join(connection.body)):
            HEALTH_CHECK.answer(message)


def _http1_answers() -> Iterator[bytes]:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
    packed = gzip.compress(b"{}", mtime=0)
    yield b"\0" + whole
    yield b"\x07HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole
    yield b"\0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"
    yield b"\0HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
    yield b"\0HTTP/1.0 301 Moved\r\nLocation: /a\r\n folded\r\n\r\nuntil the end"
    yield b"\0HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)


def _http2_answer(headers: list[tuple[str, str]], body: bytes, trailers: list[tuple[str, str]]) -> bytes:
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    request = WireRequest(lambda: _REQUEST, "tax", 80, None, _BODY_LIMIT, head=False)
    server.receive_data(fed(lambda done: Http2Connection(done, request))[1])
    server.send_headers(1, [(":status", "103"), ("link", "x")])
    server.send_headers(1, [(":status", "200"), *headers])
    server.send_data(1, body, end_stream=not trailers)
    if trailers:
        server.send_headers(1, trailers, end_stream=True)
    server.ping(b"12345678")
    return server.data_to_send()


def _http2_answers() -> Iterator[bytes]:
    for size in (b"\0", b"\x09"):
        yield size + _http2_answer([("content-type", "application/json")], b"{}", [])
    yield from _grpc_answers()


def _grpc_answers() -> Iterator[bytes]:
    message = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    for trailers in ([("grpc-status", "0")], [("grpc-status", "5"), ("grpc-message", "none")]):
        yield b"\0" + _http2_answer([("content-type", "application/grpc")], body, trailers)


READERS = (
    Reader("HTTP/1 answer", _http1, _http1_answers),
    Reader("HTTP/2 answer", _http2, _http2_answers),
    Reader("gRPC answer", _grpc_call, _grpc_answers, (ProbeFailedError, GrpcAnswerError)),
)
