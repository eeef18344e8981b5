"""What the servers say: one HTTP/1.1 response for one request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from services.sandbox.faults.faults import Mode, Scope
from services.sandbox.faults.timeline import Span
from services.sandbox.scenario.records import answer
from services.sandbox.scenario.addresses import Wire

__all__ = ["NOT_FOUND", "OK", "Reply", "Request", "bus_reply", "inquiry_reply", "page_reply", "response"]

OK = "ok"
NOT_FOUND = "not_found"

_JSON = "application/json; charset=utf-8"
_BROKEN = (500, 502, 503, 504)
_PHRASES = {
    200: "OK",
    404: "Not Found",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request matters here: its path with the query, and its body."""

    url: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response, and the word for it in the access log: ``ok``, a mode, or ``not_found``."""

    sent: str
    response: bytes


def inquiry_reply(wire: Wire, span: Span | None, request: Request, now: float) -> Reply:
    """Answer an inquiry over a link as the link is (None: well); ``now`` in epoch seconds."""
    if span is not None and span.mode is Mode.HTTP_5XX:
        return _broken(span)
    asked = [_is_about(record[wire.family.key].encode(), request) for record in wire.records]
    if not any(asked):
        return Reply(NOT_FOUND, response(404, _JSON, orjson.dumps({"error": "nobody of this number is known"})))
    number, updated = asked.index(True), now - 5
    if span is not None and span.mode is Mode.WRONG_RECORD:
        number = 1 - number
    elif span is not None and span.mode is Mode.STALE:
        updated = now - 2 * wire.max_age_s - 3600
    body, headers = answer(wire.family, wire.item, wire.records[number], updated)
    return Reply(span.mode if span else OK, response(200, _JSON, body, headers))


def _is_about(key: bytes, request: Request) -> bool:
    return key in request.url or key in request.body


def bus_reply(span: Span | None) -> Reply:
    """Answer for the bus itself."""
    if span is not None and span.mode is Mode.HTTP_5XX:
        return _broken(span)
    return Reply(span.mode if span else OK, response(200, _JSON, b'{"bus":"up"}'))


def page_reply(title: str) -> Reply:
    """Answer with a small web page."""
    page = f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Reply(OK, response(200, "text/html; charset=utf-8", page.encode()))


def _broken(span: Span) -> Reply:
    """Fail as a server does; when the bus is to blame, with the header by which a bus says so (docs/probing.md §2)."""
    if span.cause is Scope.BUS:
        fault = "Server.ServerProxy.ServiceFailed.NetworkError"
        body = orjson.dumps({"type": fault, "message": "the bus cannot reach the service", "detail": "simulated"})
        return Reply(span.mode, response(500, _JSON, body, (f"X-Road-Error: {fault}",)))
    status = _BROKEN[span.variant % len(_BROKEN)]
    return Reply(span.mode, response(status, _JSON, orjson.dumps({"error": _PHRASES[status]})))


def response(status: int, content_type: str, body: bytes, headers: Sequence[str] = ()) -> bytes:
    """Write a whole HTTP response, after which the connection is closed."""
    lines = (
        f"HTTP/1.1 {status} {_PHRASES[status]}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *headers,
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
