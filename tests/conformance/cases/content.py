"""Behaviours 15-18: patterns in bodies and headers, JSON. Not a test itself."""

from __future__ import annotations

import asyncio

from services.core.model.outcome import Reason
from tests.conformance.case import CONFIG_ERROR, FAILS, PASSES, Case
from tests.conformance.servers import at, http
from tests.support.servers.http_server import Request, says

__all__ = ["CASES"]


def _body(number: int, name: str, body: str | bytes, reason: Reason, *, must: str = "[]", must_not: str = "[]") -> Case:
    return Case(
        number,
        name,
        http(says(200, body.encode() if isinstance(body, str) else body)),
        f"kind: http\nexpect:\n  body:\n    must: {must}\n    must_not: {must_not}",
        f"prober: http\nhttp:\n  fail_if_body_not_matches_regexp: {must}\n  fail_if_body_matches_regexp: {must_not}",
        reason,
        PASSES if reason is Reason.OK else FAILS,
    )


_FORBIDDEN = "[error, 'fatal:? .*']"
_REQUIRED = "[all, 'cle.r', '[0-9]+']"


def _refused_pattern(number: int, name: str, pattern: str) -> Case:
    return Case(
        number,
        name,
        at("http://127.0.0.1:1/"),
        f"kind: http\nexpect: {{body: {{must: ['{pattern}']}}}}",
        f"prober: http\nhttp: {{fail_if_body_not_matches_regexp: ['{pattern}']}}",
        None,
        CONFIG_ERROR,
    )


_BODIES = (
    _body(15, "no forbidden pattern", "all clear", Reason.OK, must_not=_FORBIDDEN),
    _body(15, "the first forbidden pattern", "an error", Reason.BODY, must_not=_FORBIDDEN),
    _body(15, "the second forbidden pattern", "so fatal: no", Reason.BODY, must_not=_FORBIDDEN),
    _body(15, "a forbidden pattern after 300 kB", "x" * 300_000 + "error", Reason.BODY, must_not=_FORBIDDEN),
    _body(15, "nothing is forbidden of an empty body", "", Reason.OK, must_not=_FORBIDDEN),
    _body(16, "all required patterns", "all clear 1", Reason.OK, must=_REQUIRED),
    _body(16, "one required pattern missing", "all clear", Reason.BODY, must=_REQUIRED),
    _body(16, "required patterns of an empty body", "", Reason.BODY, must=_REQUIRED),
    _body(16, "a required and a forbidden pattern", "all error", Reason.BODY, must="[all]", must_not=_FORBIDDEN),
    _body(16, "Persian text and flags", "استعلام: PAID", Reason.OK, must="['(?i)^استعلام: paid$']"),
    _body(16, "anchors mean the whole body", "one\ntwo\nthree", Reason.BODY, must="['^two$']"),
    _body(16, "anchors of lines where asked for", "one\ntwo\nthree", Reason.OK, must="['(?m)^two$']"),
    _body(16, "a pattern across bytes that are not UTF-8", b"caf\xe9 open", Reason.OK, must="['caf. open']"),
    _body(
        15,
        "a forbidden pattern across bytes that are not UTF-8",
        b"caf\xe9 shut",
        Reason.BODY,
        must_not="['caf. shut']",
    ),
    _refused_pattern(16, "a pattern that is none", "(open"),
    _refused_pattern(16, "a pattern with a look-ahead", "a(?=b)"),
)


def _header(
    name: str,
    headers: dict[str, str],
    reason: Reason,
    *,
    must: str = "",
    must_not: str = "",
    optional: str = "false",
) -> Case:
    ours = ", ".join(
        (
            *([f"must: {must}"] if must else []),
            *([f"must_not: {must_not}"] if must_not else []),
            f"optional: {optional}",
        )
    )
    theirs = "\n".join(
        f"  {key}:\n    - {{header: x-state, regexp: {pattern}, allow_missing: {optional}}}"
        for key, pattern in (("fail_if_header_not_matches", must), ("fail_if_header_matches", must_not))
        if pattern
    )
    return Case(
        17,
        name,
        http(says(200, b"", headers)),
        f"kind: http\nexpect: {{headers: {{X-State: {{{ours}}}}}}}",
        f"prober: http\nhttp:\n{theirs}",
        reason,
        PASSES if reason is Reason.OK else FAILS,
    )


async def _persian(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write("HTTP/1.1 200 OK\r\nX-State: پیوند\r\nContent-Length: 0\r\n\r\n".encode())


async def _latin(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-State: caf\xe9 open\r\nContent-Length: 0\r\n\r\n")


async def _several(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-State: one\r\nx-state: two\r\nContent-Length: 0\r\n\r\n")


_HEADERS = (
    _header("names are case-insensitive", {"x-StAtE": "clear"}, Reason.OK, must="^clear$"),
    _header("a header that does not match", {"X-State": "owing"}, Reason.HEADER, must="^clear$"),
    _header("a header that is absent", {}, Reason.HEADER, must="^clear$"),
    _header("a header that may be absent", {}, Reason.OK, must="^clear$", optional="true"),
    _header(
        "a header that may be absent and does not match",
        {"X-State": "owing"},
        Reason.HEADER,
        must="^clear$",
        optional="true",
    ),
    _header("a forbidden header", {"X-State": "owing"}, Reason.HEADER, must_not="owing"),
    _header("a forbidden header with another value", {"X-State": "clear"}, Reason.OK, must_not="owing"),
    _header("a forbidden header that is absent", {}, Reason.HEADER, must_not="owing"),
    _header("a forbidden header that may be absent", {}, Reason.OK, must_not="owing", optional="true"),
    Case(
        17,
        "a header in Persian",
        http(_persian),
        "kind: http\nexpect: {headers: {X-State: ^پیوند$}}",
        "prober: http\nhttp: {fail_if_header_not_matches: [{header: X-State, regexp: ^پیوند$}]}",
        Reason.OK,
        PASSES,
    ),
    Case(
        17,
        "a header that is not UTF-8",
        http(_latin),
        "kind: http\nexpect: {headers: {X-State: ^caf. open$}}",
        "prober: http\nhttp: {fail_if_header_not_matches: [{header: X-State, regexp: ^caf. open$}]}",
        Reason.OK,
        PASSES,
    ),
    Case(
        17,
        "one of several values matches",
        http(_several),
        "kind: http\nexpect: {headers: {X-State: ^two$}}",
        "prober: http\nhttp: {fail_if_header_not_matches: [{header: X-State, regexp: ^two$}]}",
        Reason.OK,
        PASSES,
    ),
    Case(
        17,
        "one of several values is forbidden",
        http(_several),
        "kind: http\nexpect: {headers: {X-State: {must_not: ^two$}}}",
        "prober: http\nhttp: {fail_if_header_matches: [{header: X-State, regexp: ^two$}]}",
        Reason.HEADER,
        FAILS,
    ),
)

_ONLY_TEXT = "blackbox_exporter 0.26 has patterns only, and a pattern does not know where in a document it matches"


def _json(name: str, body: str, reason: Reason, theirs: bool, differs: str = "") -> Case:
    return Case(
        18,
        name,
        http(says(200, body.encode(), {"Content-Type": "application/json"})),
        'kind: http\nexpect:\n  json: [{path: "$.id", equals: "7"}, {path: "$.clear", type: boolean}]',
        "prober: http\nhttp:\n"
        """  fail_if_body_not_matches_regexp: ['"id": ?"7"', '"clear": ?(true|false)']""",
        reason,
        PASSES if theirs else FAILS,
        differs=differs,
    )


_JSON = (
    _json("what is asked for", '{"id": "7", "clear": true}', Reason.OK, True),
    _json("a path that finds nothing", '{"id": "7"}', Reason.JSON, False),
    _json("another value", '{"id": "8", "clear": true}', Reason.JSON, False),
    _json("another type", '{"id": "7", "clear": "yes"}', Reason.JSON, False),
    _json("a number where a boolean is asked for", '{"id": "7", "clear": 1}', Reason.JSON, False),
    _json("no JSON at all", "<html>", Reason.JSON, False),
    _json(
        "the value in another place",
        '{"id": "8", "parent": {"id": "7"}, "clear": true}',
        Reason.JSON,
        True,
        _ONLY_TEXT,
    ),
    _json("JSON that is cut short", '{"id": "7", "clear": true', Reason.JSON, True, _ONLY_TEXT),
    _json("the same written in another way", '{\n "clear"\n:\ttrue,"id":\n"7"}', Reason.OK, False, _ONLY_TEXT),
    Case(
        18,
        "a path that is none",
        at("http://127.0.0.1:1/"),
        "kind: http\nexpect: {json: [{path: '$.['}]}",
        "prober: http\nhttp: {fail_if_body_not_matches_regexp: ['$.[']}",
        None,
        CONFIG_ERROR,
    ),
)

CASES = (*_BODIES, *_HEADERS, *_JSON)
