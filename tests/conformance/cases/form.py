"""Behaviours 13 and 17 with answers of unusual form: repeated lengths, odd lines. Not a test itself."""

from __future__ import annotations

import asyncio

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, Case, Verdict
from tests.conformance.servers import http
from tests.support.servers.http_server import Request

__all__ = ["CASES"]

_OK = b"HTTP/1.1 200 OK\r\n"
_LENGTH = b"Content-Length: 2\r\n"
_CHUNKS = b"2\r\nok\r\n0\r\n\r\n"


def _form(
    number: int, name: str, said: bytes, reason: Reason, theirs: Verdict, *, state: str = "", differs: str = ""
) -> Case:
    """Return the case of an answer of these bytes: its body must be `ok`, and X-State must match ``state`` if set."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    ours = "kind: http\nexpect:\n  body: {must: [^ok$]}"
    module = "prober: http\nhttp:\n  fail_if_body_not_matches_regexp: [^ok$]"
    if state:
        ours += f"\n  headers: {{X-State: '{state}'}}"
        module += f"\n  fail_if_header_not_matches: [{{header: X-State, regexp: '{state}'}}]"
    return Case(number, name, http(handle), ours, module, reason, theirs, differs=differs)


CASES = (
    _form(
        13,
        "one length said twice",
        _OK + _LENGTH + _LENGTH + b"\r\nok",
        Reason.OK,
        PASSES,
    ),
    _form(
        13,
        "one length listed twice",
        _OK + b"Content-Length: 2, 2\r\n\r\nok",
        Reason.OK,
        FAILS,
        differs="a list of one length is that length (RFC 9110, 8.6)",
    ),
    _form(
        13,
        "a coding that is none",
        _OK + b"Transfer-Encoding: identity\r\n\r\nok",
        Reason.OK,
        FAILS,
        differs="an answer that is not in chunks ends with the connection (RFC 9112, 6.3), whatever its coding",
    ),
    _form(
        13,
        "chunks whose sizes are padded",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKS.replace(b"2\r", b"2  \r"),
        Reason.OK,
        PASSES,
    ),
    _form(13, "two lengths", _OK + _LENGTH + b"Content-Length: 1\r\n\r\nok", Reason.PROTOCOL_ERROR, FAILS),
    _form(
        13,
        "a length and chunks",
        _OK + _LENGTH.replace(b"2", b"1") + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKS,
        Reason.OK,
        PASSES,
    ),
    _form(
        13,
        "a length with a space before its colon and a body that breaks off",
        _OK + b"Content-Length : 3\r\n\r\nok",
        Reason.CONNECTION_CLOSED,
        PASSES,
        differs="a length that can be read is held to; blackbox_exporter overlooks it",
    ),
    _form(
        17,
        "a folded header",
        _OK + b"X-State: all\r\n  clear\r\n" + _LENGTH + b"\r\nok",
        Reason.OK,
        PASSES,
        state="^all +clear$",
    ),
    _form(
        17,
        "lines that end in a line feed alone",
        b"HTTP/1.1 200 OK\nX-State: clear\nContent-Length: 2\n\nok",
        Reason.OK,
        PASSES,
        state="^clear$",
    ),
    _form(
        17,
        "a header that holds a zero byte",
        _OK + b"X-State: a\0b\r\n" + _LENGTH + b"\r\nok",
        Reason.PROTOCOL_ERROR,
        FAILS,
    ),
    _form(
        17,
        "a space in the name of a header",
        _OK + b"X State: clear\r\n" + _LENGTH + b"\r\nok",
        Reason.PROTOCOL_ERROR,
        PASSES,
        differs="the name of a header is a token (RFC 9110, 5.1): what is none cannot be told from what is no header",
    ),
    _form(
        17,
        "a header of 2 MB",
        _OK + b"X-State: " + b"x" * 2_000_000 + b"\r\n" + _LENGTH + b"\r\nok",
        Reason.PROTOCOL_ERROR,
        PASSES,
        differs="headers end at 256 KiB: a monitor keeps no room for what few consumers would take",
    ),
)
