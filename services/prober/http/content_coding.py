"""Decodes answers: the texts of headers, and compressed bodies up to a limit. Pure.

The limit keeps a small compressed body from becoming a huge decoded one. The time is proportional to body and limit.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from services.prober.observation import Cause

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15
_QUALITY = re.compile(r"[ \t]*;[ \t]*q=([0-9.]+)[ \t]*", re.IGNORECASE)
# One is usual; HTTP allows any number.
_MAX_CODINGS: Final = 2
# One is usual; some servers begin one for each part of a stream. Each takes some microseconds, however short it is.
_MAX_MEMBERS: Final = 1000
# The bytes after a member are copied from its last piece.
_PIECE_BYTES: Final = 16 * 1024

DECODED_AT_ONCE: Final = 4 * 1024
"""Bytes of a compressed body that decodes without a long delay, to at most a thousand times as many."""


class DecodeError(Exception):
    """The body does not match its Content-Encoding (ENCODING), or is larger than the limit (BODY_LIMIT)."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def decode_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return headers as text, with names in lower case. Values are UTF-8 where valid, else Latin-1 (RFC 9110, 5.5)."""
    return tuple((name.decode("latin-1").lower(), _text(value)) for name, value in headers)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@lru_cache(maxsize=1024)
def accepted_codings(accept_encoding: str) -> frozenset[str]:
    """Return the codings that an Accept-Encoding allows, of those that can be undone.

    A coding is allowed if it is listed, or else by `*`, with a weight other than 0. An empty text, as for a request
    without the header, allows none (RFC 9110, 12.5.3).
    """
    allowed: dict[str, bool] = {}
    for item in accept_encoding.split(","):
        name, semicolon, rest = item.partition(";")
        weight = _QUALITY.fullmatch(semicolon + rest)
        allowed[_coding(name)] = weight is None or weight[1].strip("0.") != ""
    others = allowed.get("*", False)
    return frozenset(coding for coding in _WINDOW_BITS if allowed.get(coding, others))


def _coding(name: str) -> str:
    """Return the name of a coding; x-gzip is gzip (RFC 9110, 8.4.1.3)."""
    coding = name.strip().lower()
    return "gzip" if coding == "x-gzip" else coding


def decode_body(body: bytes, headers: Iterable[tuple[str, str]], accepted: frozenset[str], limit: int) -> bytes:
    """Undo the codings that the headers name, as far as they are among ``accepted``. Raises DecodeError.

    The result has at most ``limit`` bytes.
    """
    names = [value.split(",") for name, value in headers if name == "content-encoding"]
    encodings = [_coding(encoding) for part in names for encoding in part]
    for undone, encoding in enumerate(reversed(encodings)):
        if encoding not in accepted:
            break
        if undone == _MAX_CODINGS:
            raise DecodeError(Cause.ENCODING, f"the body has more than {_MAX_CODINGS} content codings")
        body = _decode(body, encoding, limit)
    if len(body) > limit:
        raise DecodeError(Cause.BODY_LIMIT, f"the body is larger than {limit} bytes")
    return body


def _decode(data: bytes, encoding: str, limit: int) -> bytes:
    try:
        return _inflate(data, _WINDOW_BITS[encoding], limit)
    except zlib.error as error:
        if encoding != "deflate":
            raise DecodeError(Cause.ENCODING, f"the body is not {encoding}") from error
    try:
        # Many servers send the raw format as deflate.
        return _inflate(data, _RAW_DEFLATE, limit)
    except zlib.error as error:
        raise DecodeError(Cause.ENCODING, "the body is not deflate") from error


def _inflate(data: bytes, window_bits: int, limit: int) -> bytes:
    parts: list[bytes] = []
    size = position = 0
    for _ in range(_MAX_MEMBERS):
        decoder = zlib.decompressobj(window_bits)
        while not decoder.eof:
            piece = data[position : position + _PIECE_BYTES]
            if not piece:
                raise zlib.error("the body ends early")
            part = decoder.decompress(piece, limit + 1 - size)
            size += len(part)
            if size > limit:
                raise DecodeError(Cause.BODY_LIMIT, f"the decoded body is larger than {limit} bytes")
            parts.append(part)
            position += len(piece) - len(decoder.unused_data)
        if position == len(data) or window_bits != _WINDOW_BITS["gzip"]:
            return b"".join(parts)
    raise DecodeError(Cause.ENCODING, f"the body has more than {_MAX_MEMBERS} gzip members")
