"""Decoding of compressed bodies under a limit: a small bomb must not become a large body. Pure."""

from __future__ import annotations

import zlib

__all__ = ["DecodeError", "LimitError", "decodable", "decode"]

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15


class DecodeError(Exception):
    """The body is not what its Content-Encoding claims."""


class LimitError(Exception):
    """The decoded body is larger than the limit."""


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
