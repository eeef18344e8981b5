"""Answers to gRPC calls that break its rules, from an HTTP/2 server that sends any bytes."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes

from services.core.model.outcome import Outcome, Reason
from services.prober.attempt import ProbeResult
from tests.support.servers.http2_server import Asked, Headers, Http2Handler, Reply, serving_http2
from tests.support.servers.http_server import ask

_GRPC = [("content-type", "application/grpc")]
# A HealthCheckResponse that says SERVING, with its prefix.
_SERVING = b"\0\0\0\0\x02\x08\x01"


def _answers(
    body: bytes = b"", *, status: int = 200, headers: Headers = _GRPC, trailers: Headers | None = None
) -> Http2Handler:
    async def handle(_: Asked, reply: Reply) -> None:
        bare = not body and trailers is None
        reply.headers(status, headers, end=bare)
        if body:
            await reply.data(body, end=trailers is None)
        if trailers is not None:
            reply.trailers(trailers)

    return handle


async def _checked(handler: Http2Handler, **definition: object) -> ProbeResult:
    async with serving_http2(handler) as server:
        result = await ask(server.url("").replace("http:", "grpc:"), kind="grpc", **definition)  # type: ignore[arg-type]
    asked = server.requests[0]
    assert (asked.path, asked.pseudo["method"]) == ("/grpc.health.v1.Health/Check", "POST")
    assert (asked.header("te"), asked.header("content-type")) == ("trailers", "application/grpc")
    assert asked.header("grpc-accept-encoding") == "identity"
    return result


_OK = [("grpc-status", "0")]


async def test_the_raw_answer_is_what_servers_send() -> None:
    """The answer that the other tests break is OK when nothing is broken; trailers are among the headers."""
    result = await _checked(_answers(_SERVING, trailers=[*_OK, ("x-node", "۷")]))
    assert (result.judgement.reason, result.observation.raw_length) == (Reason.OK, len(_SERVING))
    assert ("x-node", "۷") in result.observation.headers


@pytest.mark.parametrize(
    ("handler", "reason", "word"),
    [
        (_answers(_SERVING), Reason.PROTOCOL_ERROR, "without grpc-status"),
        (_answers(_SERVING, trailers=[("x-other", "1")]), Reason.PROTOCOL_ERROR, "without grpc-status"),
        (_answers(_SERVING, headers=[*_GRPC, *_OK]), Reason.PROTOCOL_ERROR, "without grpc-status"),
        (_answers(b"<html>", headers=[("content-type", "text/html")]), Reason.PROTOCOL_ERROR, "not gRPC"),
        (_answers(_SERVING, trailers=[("grpc-status", "fine")]), Reason.PROTOCOL_ERROR, "not a number"),
        (_answers(_SERVING[:-1], trailers=_OK), Reason.PROTOCOL_ERROR, "within a message"),
        (_answers(_SERVING[:3], trailers=_OK), Reason.PROTOCOL_ERROR, "within a message"),
        (_answers(trailers=_OK), Reason.PROTOCOL_ERROR, "0 messages"),
        (_answers(_SERVING * 2, trailers=_OK), Reason.PROTOCOL_ERROR, "2 messages"),
        (_answers(b"\x01" + _SERVING[1:], trailers=_OK), Reason.ENCODING, "compressed"),
        (_answers(b"\0\0\0\0\x02\x08\xff", trailers=_OK), Reason.ENCODING, "not a grpc.health.v1.HealthCheckResponse"),
        (_answers(headers=[*_GRPC, ("grpc-status", "5")]), Reason.UNKNOWN_SERVICE, "does not know"),
        (_answers(trailers=[("grpc-status", "99")]), Reason.RPC_FAILED, "UNKNOWN"),
        (_answers(b"\0\0\0\0\x02\x08\x2a", trailers=_OK), Reason.NOT_SERVING, "42"),
    ],
)
async def test_broken_grpc_answers(handler: Http2Handler, reason: Reason, word: str) -> None:
    """An answer that does not state how the call ended, or is not the one message it should be, fails with a detail."""
    result = await _checked(handler)
    assert result.judgement.reason is reason
    assert word in result.judgement.detail


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (400, Reason.RPC_FAILED, "INTERNAL"),
        (401, Reason.AUTH_REFUSED, "UNAUTHENTICATED"),
        (403, Reason.AUTH_REFUSED, "PERMISSION_DENIED"),
        (404, Reason.UNIMPLEMENTED, "UNIMPLEMENTED"),
        (429, Reason.RPC_FAILED, "UNAVAILABLE"),
        (500, Reason.RPC_FAILED, "UNKNOWN"),
        (503, Reason.RPC_FAILED, "UNAVAILABLE"),
    ],
)
async def test_a_plain_http_status_stands_for_a_code(status: int, reason: Reason, code: str) -> None:
    """When an intermediary answers in plain HTTP, its status stands for the code that gRPC assigns to it."""
    result = await _checked(_answers(b"sorry", status=status, headers=[("content-type", "text/plain")]))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert result.observation.rpc is not None
    assert result.observation.rpc.code == code


@pytest.mark.parametrize(("limit", "reason"), [(2, Reason.OK), (1, Reason.BODY_LIMIT)])
async def test_14_the_body_limit_bounds_the_message(limit: int, reason: Reason) -> None:
    """A message passes up to exactly its limit; one byte more is BODY_LIMIT."""
    result = await _checked(_answers(_SERVING, trailers=_OK), body_limit=limit)
    assert result.judgement.reason is reason


async def test_32_a_call_that_is_reset_is_not_tried_again() -> None:
    """A call that the server resets is CONNECTION_RESET, once."""

    async def handle(_: Asked, reply: Reply) -> None:
        reply.reset(ErrorCodes.REFUSED_STREAM)

    async with serving_http2(handle) as server:
        result = await ask(server.url("").replace("http:", "grpc:"), kind="grpc")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.CONNECTION_RESET)
    assert server.connections == 1
