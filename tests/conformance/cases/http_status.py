"""Behaviours 1-5: statuses and redirects. Not a test itself."""

from __future__ import annotations

import asyncio

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, Case
from tests.conformance.servers import http, judging, routes
from tests.support.servers.http_server import Handler, Request, answer, says

__all__ = ["CASES"]

_OURS = "kind: http"
_THEIRS = "prober: http"


def _status(code: int, reason: Reason) -> Case:
    theirs = PASSES if reason is Reason.OK else FAILS
    return Case(1, f"{code} by default", http(says(code)), _OURS, _THEIRS, reason, theirs, facts={"status": code})


_DEFAULT = tuple(
    _status(code, reason)
    for code, reason in (
        (200, Reason.OK),
        (204, Reason.OK),
        (299, Reason.OK),
        (304, Reason.STATUS),
        (404, Reason.STATUS),
        (401, Reason.AUTH_REFUSED),
        (429, Reason.SERVER_ERROR),
        (500, Reason.SERVER_ERROR),
    )
)


def _listed(code: int, reason: Reason) -> Case:
    return Case(
        2,
        f"{code} where 404 and 503 are listed",
        http(says(code)),
        "kind: http\nexpect: {status: [404, 503]}",
        "prober: http\nhttp: {valid_status_codes: [404, 503]}",
        reason,
        PASSES if reason is Reason.OK else FAILS,
        facts={"status": code},
    )


_LISTED = (_listed(404, Reason.OK), _listed(503, Reason.OK), _listed(200, Reason.STATUS))


def _ranged(code: int, reason: Reason) -> Case:
    return Case(
        2,
        f"{code} where 200-206 and 404 are listed",
        http(says(code)),
        "kind: http\nexpect: {status: [200-206, 404]}",
        f"prober: http\nhttp: {{valid_status_codes: {[*range(200, 207), 404]}}}",
        reason,
        PASSES if reason is Reason.OK else FAILS,
        facts={"status": code},
    )


def _refused(code: int, reason: Reason) -> Case:
    return Case(
        2,
        f"{code} where a refusal is required",
        http(says(code)),
        "kind: http\nexpect: {refused: true}",
        "prober: http\nhttp: {valid_status_codes: [401, 403]}",
        reason,
        PASSES if reason is Reason.OK else FAILS,
        facts={"status": code},
    )


_RANGES = (
    *(_ranged(code, Reason.OK) for code in (200, 206, 404)),
    *(_ranged(code, Reason.STATUS) for code in (207, 405)),
)
_REFUSALS = (
    _refused(401, Reason.OK),
    _refused(403, Reason.OK),
    _refused(200, Reason.NOT_REFUSED),
    _refused(404, Reason.NOT_REFUSED),
)


async def _maze(request: Request, writer: asyncio.StreamWriter) -> None:
    """/3 leads to /2, /2 to /1, /1 to /0, which answers; /loop leads to itself."""
    step = request.path.strip("/")
    if step == "0":
        writer.write(answer(200, b"arrived"))
    else:
        there = "/loop" if step == "loop" else f"/{int(step) - 1}"
        writer.write(answer(302, b"elsewhere", {"Location": there}))


def _asked(method: str, body: bytes) -> Handler:
    return judging(lambda request: request.line.startswith(f"{method} ") and request.body == body)


_moved = routes(
    {
        "/keep": says(307, b"", {"Location": "/kept"}),
        "/kept": _asked("POST", b"inquiry"),
        "/see": says(303, b"", {"Location": "/seen"}),
        "/post": says(301, b"", {"Location": "/seen"}),
        "/seen": _asked("GET", b""),
        "/put": says(301, b"", {"Location": "/changed"}),
        "/changed": _asked("PUT", b"inquiry"),
    }
)

_POST = "kind: http\nmethod: POST\nbody: inquiry"
_THEIR_POST = "prober: http\nhttp: {method: POST, body: inquiry}"
_UNFOLLOWED = "redirects: none\nexpect: {status: [302]}"

_REDIRECTS = (
    Case(3, "three redirects", http(_maze, "/3"), _OURS, _THEIRS, Reason.OK, PASSES, {"status": 200, "redirects": 3}),
    Case(3, "ten redirects", http(_maze, "/10"), _OURS, _THEIRS, Reason.OK, PASSES, {"status": 200, "redirects": 10}),
    Case(3, "307 keeps method and body", http(_moved, "/keep"), _POST, _THEIR_POST, Reason.OK, PASSES),
    Case(3, "303 turns into GET", http(_moved, "/see"), _POST, _THEIR_POST, Reason.OK, PASSES),
    Case(
        3,
        "301 keeps PUT",
        http(_moved, "/put"),
        "kind: http\nmethod: PUT\nbody: inquiry",
        "prober: http\nhttp: {method: PUT, body: inquiry}",
        Reason.OK,
        FAILS,
        {"redirects": 1},
        differs="only POST may turn into GET at 301 (RFC 9110, 15.4.2); blackbox_exporter turns every method into it",
    ),
    Case(3, "301 turns POST into GET", http(_moved, "/post"), _POST, _THEIR_POST, Reason.OK, PASSES, {"redirects": 1}),
    Case(
        3,
        "302 that leads nowhere",
        http(says(302)),
        _OURS,
        _THEIRS,
        Reason.STATUS,
        FAILS,
        {"status": 302, "redirects": 0},
    ),
    Case(
        4,
        "302 listed and not followed",
        http(_maze, "/3"),
        f"kind: http\n{_UNFOLLOWED}",
        "prober: http\nhttp: {follow_redirects: false, valid_status_codes: [302]}",
        Reason.OK,
        PASSES,
        {"status": 302},
        {"redirects": 0},
        {"redirects": 1},
        "redirects count those followed; blackbox_exporter counts the one it did not follow",
    ),
    Case(
        4,
        "302 not listed and not followed",
        http(_maze, "/3"),
        "kind: http\nredirects: none",
        "prober: http\nhttp: {follow_redirects: false}",
        Reason.STATUS,
        FAILS,
        {"status": 302},
    ),
    Case(5, "a loop", http(_maze, "/loop"), _OURS, _THEIRS, Reason.TOO_MANY_REDIRECTS, FAILS, {"status": 302}),
    Case(5, "an eleventh redirect", http(_maze, "/11"), _OURS, _THEIRS, Reason.TOO_MANY_REDIRECTS, FAILS),
    Case(
        5,
        "a loop where 302 is listed",
        http(_maze, "/loop"),
        "kind: http\nexpect: {status: [200, 302]}",
        "prober: http\nhttp: {valid_status_codes: [200, 302]}",
        Reason.TOO_MANY_REDIRECTS,
        PASSES,
        differs="who follows redirects wants where they lead: a loop is no answer, whatever statuses are listed",
    ),
)

CASES = (*_DEFAULT, *_LISTED, *_RANGES, *_REFUSALS, *_REDIRECTS)
