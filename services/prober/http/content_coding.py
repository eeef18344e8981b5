"""Decoding of what an answer holds: headers, and compressed bodies under a limit. Pure.

A small bomb must not become a large body.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

__all__ = ["DecodeError", "LimitError", "decodable", "decode", "decode_headers"]

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15


class DecodeError(Exception):
    """The body is not what its Content-Encoding claims."""


class LimitError(Exception):
    """The decoded body is larger than the limit."""


def decode_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return headers as text, names in lower case: UTF-8 where a value is that, else Latin-1 (RFC 9110, 5.5)."""
    return tuple((name.decode("latin-1").lower(), _text(value)) for name, value in headers)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decodable(encoding: str) -> bool:
    """Whether bodies of this Content-Encoding can be decoded."""
    return encoding in _WINDOW


def decode(data: bytes, encoding: str, limit: int) -> bytes:
    """Decode ``data`` into at most ``limit`` bytes. Raises DecodeError and LimitError."""
    try:
        return _inflate(data, _WINDOW[encoding], limit)
    except zlib.error as error:
        if encoding != "deflate":
            raise DecodeError(f"the body is not {encoding}") from error
    try:
        # Many servers mean the raw format when they say deflate.
        return _inflate(data, _RAW_DEFLATE, limit)
    except zlib.error as error:
        raise DecodeError("the body is not deflate") from error


def _inflate(data: bytes, window: int, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        decoder = zlib.decompressobj(window)
        part = decoder.decompress(data, limit + 1 - size)
        size += len(part)
        if size > limit:
            raise LimitError(f"the decoded body is larger than {limit} bytes")
        parts.append(part)
        if not decoder.eof:
            raise zlib.error("the body ends early")
        data = decoder.unused_data
        if not data or window != _WINDOW["gzip"]:
            return b"".join(parts)
