"""Behaviours 10-14: compressed bodies, lengths, the body limit. Not a test itself."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

from services.core.model.outcome import Reason
from tests.conformance.case import CONFIG_ERROR, FAILS, PASSES, Case
from tests.conformance.servers import http
from tests.support.servers.http_server import Request, says

__all__ = ["CASES"]

_PLAIN = b'{"clear": true}' * 20
_GZIP = gzip.compress(_PLAIN, mtime=0)
_DEFLATE = zlib.compress(_PLAIN)
_RAW_DEFLATE = _DEFLATE[2:-4]  # without the frame that zlib puts round it
_BROTLI = b"\x0b\x02\x80hello\x03"
_CLEAR = '"clear": true'
_HELD = f"expect: {{body: {{must: ['{_CLEAR}']}}}}"
_THEY_HOLD = f"fail_if_body_not_matches_regexp: ['{_CLEAR}']"


def _packed(body: bytes, encoding: str) -> dict[str, Any]:
    return {"scene": http(says(200, body, {"Content-Encoding": encoding} if encoding else {}))}


def _asked(encoding: str) -> dict[str, Any]:
    return {
        "probe": f"kind: http\nheaders: {{Accept-Encoding: {encoding}}}\n{_HELD}",
        "module": f"prober: http\nhttp: {{compression: {encoding}, {_THEY_HOLD}}}",
    }


_BOTH_LENGTHS = {"length": len(_PLAIN), "raw_length": len(_GZIP)}

_COMPRESSION = (
    Case(
        10,
        "gzip that is asked for",
        **_packed(_GZIP, "gzip"),
        **_asked("gzip"),
        reason=Reason.OK,
        theirs=PASSES,
        facts=_BOTH_LENGTHS,
    ),
    Case(
        10,
        "gzip that is not asked for",
        **_packed(_GZIP, "gzip"),
        probe=f"kind: http\n{_HELD}",
        module=f"prober: http\nhttp: {{{_THEY_HOLD}}}",
        reason=Reason.BODY,
        theirs=FAILS,
        facts={"length": len(_GZIP), "raw_length": len(_GZIP)},
    ),
    Case(
        10,
        "deflate without zlib's frame",
        **_packed(_RAW_DEFLATE, "deflate"),
        **_asked("deflate"),
        reason=Reason.OK,
        theirs=PASSES,
        facts={"length": len(_PLAIN), "raw_length": len(_RAW_DEFLATE)},
    ),
    Case(
        10,
        "deflate in zlib's frame",
        **_packed(_DEFLATE, "deflate"),
        **_asked("deflate"),
        reason=Reason.OK,
        theirs=FAILS,
        facts={"raw_length": len(_DEFLATE)},
        differs="deflate means zlib's format (RFC 9110, 8.4.1.2); blackbox_exporter reads only the bare one",
    ),
    Case(
        10,
        "plain where gzip is asked for",
        **_packed(_PLAIN, ""),
        **_asked("gzip"),
        reason=Reason.OK,
        theirs=FAILS,
        differs="Accept-Encoding allows an encoding and demands none; what is decoded is what the answer claims",
    ),
    Case(
        10,
        "brotli",
        **_packed(_BROTLI, "br"),
        probe="kind: http\nheaders: {Accept-Encoding: br}\nexpect: {body: {must: ['^hello$']}}",
        module="prober: http\nhttp: {compression: br, fail_if_body_not_matches_regexp: ['^hello$']}",
        reason=Reason.BODY,
        theirs=PASSES,
        differs="gzip and deflate are decoded; for brotli no decoder is among the dependencies, so it passes through",
    ),
)

_CLAIMS = (
    Case(
        11,
        "a body that is not the gzip it claims to be",
        **_packed(b"not gzip at all", "gzip"),
        probe="kind: http\nheaders: {Accept-Encoding: gzip}",
        module="prober: http\nhttp: {compression: gzip}",
        reason=Reason.ENCODING,
        theirs=FAILS,
    ),
    Case(
        11,
        "gzip that is cut short",
        **_packed(_GZIP[:-12], "gzip"),
        probe="kind: http\nheaders: {Accept-Encoding: gzip}",
        module="prober: http\nhttp: {compression: gzip}",
        reason=Reason.ENCODING,
        theirs=FAILS,
    ),
    Case(
        11,
        "gzip whose check sum is wrong",
        **_packed(_GZIP[:-8] + bytes(4) + _GZIP[-4:], "gzip"),
        probe="kind: http\nheaders: {Accept-Encoding: gzip}",
        module="prober: http\nhttp: {compression: gzip}",
        reason=Reason.ENCODING,
        theirs=FAILS,
    ),
    Case(
        11,
        "a wrong claim that nobody asked about",
        **_packed(b"not gzip at all", "gzip"),
        probe="kind: http",
        module="prober: http",
        reason=Reason.OK,
        theirs=PASSES,
        facts={"length": 15},
    ),
    Case(
        12,
        "an unknown encoding",
        **_packed(b"zzz", "rot13"),
        probe="kind: http\nexpect: {body: {must: [^zzz$]}}",
        module="prober: http\nhttp: {fail_if_body_not_matches_regexp: [^zzz$]}",
        reason=Reason.OK,
        theirs=PASSES,
        facts={"length": 3},
    ),
    Case(
        12,
        "an unknown encoding that is asked for",
        **_packed(b"zzz", "rot13"),
        probe="kind: http\nheaders: {Accept-Encoding: rot13}\nexpect: {body: {must: [^zzz$]}}",
        module="prober: http\nhttp: {compression: rot13}",
        reason=Reason.OK,
        theirs=FAILS,
        differs="Accept-Encoding is a header like others: an encoding that cannot be decoded is judged as it came",
    ),
    Case(
        12,
        "an encoding and a header that disagree",
        **_packed(_PLAIN, "identity"),
        probe=f"kind: http\nheaders: {{Accept-Encoding: identity}}\n{_HELD}",
        module="prober: http\nhttp: {compression: gzip, headers: {Accept-Encoding: identity}}",
        reason=Reason.OK,
        theirs=CONFIG_ERROR,
        differs="Accept-Encoding alone says what is asked for, so that there is nothing it could disagree with",
    ),
)


async def _closing_midway(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


_LENGTHS = (
    Case(
        13,
        "the length of a server error",
        http(says(500, b"x" * 1234)),
        "kind: http",
        "prober: http",
        Reason.SERVER_ERROR,
        FAILS,
        {"length": 1234, "raw_length": 1234},
    ),
    Case(
        13,
        "the length of a body that does not match",
        http(says(200, b"x" * 1234)),
        "kind: http\nexpect: {body: {must: [y]}}",
        "prober: http\nhttp: {fail_if_body_not_matches_regexp: [y]}",
        Reason.BODY,
        FAILS,
        {"length": 1234, "raw_length": 1234},
    ),
    Case(
        13,
        "the length of a body that breaks off",
        http(_closing_midway),
        "kind: http",
        "prober: http",
        Reason.CONNECTION_CLOSED,
        FAILS,
        {"length": 4},
        {"raw_length": 4},
        {"raw_length": 100},
        "the raw length counts what arrived; blackbox_exporter repeats what the header promised",
    ),
)


async def _endless(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(10_000))
        await writer.drain()


def _limit(name: str, body: bytes, reason: Reason, *, packed: bool = False) -> Case:
    gzipped = http(says(200, gzip.compress(body, mtime=0), {"Content-Encoding": "gzip"}))
    return Case(
        14,
        name,
        gzipped if packed else http(says(200, body)),
        "kind: http\nbody_limit: 1000B\n" + ("headers: {Accept-Encoding: gzip}" if packed else ""),
        f"prober: http\nhttp: {{body_size_limit: 1000B{', compression: gzip' if packed else ''}}}",
        reason,
        PASSES if reason is Reason.OK else FAILS,
    )


_LIMITS = (
    _limit("exactly at the limit", bytes(1000), Reason.OK),
    _limit("one byte above the limit", bytes(1001), Reason.BODY_LIMIT),
    _limit("exactly at the limit once decoded", bytes(1000), Reason.OK, packed=True),
    _limit("one byte above the limit once decoded", bytes(1001), Reason.BODY_LIMIT, packed=True),
    _limit("far above the limit once decoded", bytes(16 << 20), Reason.BODY_LIMIT, packed=True),
    Case(
        14,
        "a body without end",
        http(_endless),
        "kind: http\nbody_limit: 1000B",
        "prober: http\nhttp: {body_size_limit: 1000B}",
        Reason.BODY_LIMIT,
        FAILS,
    ),
)

CASES = (*_COMPRESSION, *_CLAIMS, *_LENGTHS, *_LIMITS)
