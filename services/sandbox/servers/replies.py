"""Makes the servers' replies: one HTTP/1.1 response to one request. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from services.sandbox.faults import FaultMode, FaultScope, FaultSpan
from services.sandbox.scenario import ServedLink, encode_record

OK = "ok"
NOT_FOUND = "not_found"

_JSON = "application/json; charset=utf-8"
_BROKEN = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request: its path with the query, and its body."""

    url: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A whole response, and its name in the access log: ``ok``, a mode, or ``not_found``."""

    sent: str
    response: bytes


def inquiry_reply(
    served: ServedLink, clock: Callable[[], float], span: FaultSpan | None, request: ReceivedRequest
) -> ServerReply:
    """Return the reply to an inquiry over a link in this fault (None: it works); ``clock`` dates the record."""
    if span is not None and span.mode is FaultMode.HTTP_5XX:
        return _broken(span)
    matches = [_is_about(record[served.family.key].encode(), request) for record in served.records]
    if not any(matches):
        return ServerReply(NOT_FOUND, response(404, _JSON, orjson.dumps({"error": "nobody of this number is known"})))
    number, now = matches.index(True), clock()
    updated = now - 5
    if span is not None and span.mode is FaultMode.WRONG_RECORD:
        number = 1 - number
    elif span is not None and span.mode is FaultMode.STALE:
        updated = now - 2 * served.max_age_s - 3600
    body, headers = encode_record(served.family, served.item, served.records[number], updated)
    return ServerReply(span.mode if span else OK, response(200, _JSON, body, headers))


def _is_about(key: bytes, request: ReceivedRequest) -> bool:
    return key in request.url or key in request.body


def bus_reply(span: FaultSpan | None, _request: ReceivedRequest) -> ServerReply:
    """Return the reply of the bus endpoint, whatever is asked."""
    if span is not None and span.mode is FaultMode.HTTP_5XX:
        return _broken(span)
    return ServerReply(span.mode if span else OK, response(200, _JSON, b'{"bus":"up"}'))


def page_reply(title: str, _span: FaultSpan | None, _request: ReceivedRequest) -> ServerReply:
    """Return a small web page, which never fails."""
    page = f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return ServerReply(OK, response(200, "text/html; charset=utf-8", page.encode()))


def _broken(span: FaultSpan) -> ServerReply:
    """Return a server error; if the bus is the cause, with the header that marks a bus error (docs/probing.md §2)."""
    if span.cause is FaultScope.BUS:
        fault = "Server.ClientProxy.NetworkError"
        body = orjson.dumps({"type": fault, "message": "the bus cannot reach the service", "detail": "simulated"})
        return ServerReply(span.mode, response(500, _JSON, body, (f"X-Road-Error: {fault}",)))
    status = _BROKEN[span.variant % len(_BROKEN)]
    return ServerReply(span.mode, response(status, _JSON, orjson.dumps({"error": HTTPStatus(status).phrase})))


def response(status: int, content_type: str, body: bytes, headers: Sequence[str] = ()) -> bytes:
    """Return a whole HTTP response, after which the connection is closed."""
    lines = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *headers,
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
