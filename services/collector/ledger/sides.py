"""Packs the sides of a request id as they are stored (requests.py): read, paired and written together."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec
import numpy as np

from services.collector.records import Side

_SIDE = struct.Struct("<16sBBIqqqqqq")
SIDE: Final = np.dtype(
    [
        *(("digest", "V16"), ("kind", "u1"), ("result", "u1"), ("pair", "<u4")),
        *(
            (name, "<i8")
            for name in ("request_in", "request_out", "response_in", "response_out", "request_bytes", "response_bytes")
        ),
    ]
)
"""A side as it is stored. ``pair`` is the number of its client and service. Missing stamps and sizes are NONE."""

NONE: Final = -1  # stamps and sizes are not negative
_DIGEST = 16  # bytes


class SideKind(IntEnum):
    """Which side of an exchange was logged. ``WHOLE`` is a client's side that expects no other."""

    CLIENT = 0
    PRODUCER = 1
    WHOLE = 2


def packed(side: Side, pair: int) -> bytes:
    """Return a side as it is stored."""
    out, back = side.request_out, side.response_in
    sent, received = side.request_bytes, side.response_bytes
    return _SIDE.pack(
        side.digest,
        2 if side.whole else side.producer,
        side.result,
        pair,
        side.request_in,
        NONE if out is None else out,
        NONE if back is None else back,
        side.response_out,
        NONE if sent is None else sent,
        NONE if received is None else received,
    )


class StoredSide(NamedTuple):
    """What pairing needs of a stored side. ``place`` is its position among the sides of its request."""

    place: int
    producer: bool
    request_in: int
    digest: bytes


def unpacked(sides: bytes) -> list[StoredSide]:
    """Return the sides of a request."""
    return [
        StoredSide(place, kind == SideKind.PRODUCER, request_in, digest)
        for place, (digest, kind, _, _, request_in, *_) in enumerate(_SIDE.iter_unpack(sides))
    ]


def digests(sides: bytes) -> set[bytes]:
    """Return the digests of the sides of a request."""
    return {sides[start : start + _DIGEST] for start in range(0, len(sides), SIDE.itemsize)}


class StoredRequest(msgspec.Struct, frozen=True, gc=False):
    """The sides of a request id as they are stored, and when the newest of them came in.

    ``message`` is the lowest message of the sides, or None. The request is ``repeated`` if it was counted as a repeat
    of another request of the message.
    """

    sides: bytes = b""
    newest: int = 0
    message: int | None = None
    repeated: bool = False
