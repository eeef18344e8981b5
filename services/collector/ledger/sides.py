"""Stores the sides of every request id within the pairing span, for de-duplication and pairing.

A row of the table of requests holds all sides of one id, packed. They are read, paired and written together, in the
order of the ids, which is the order on disk.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from services.collector.records import Side
from services.core.checked_rows import checksum

SLICES = 4096
"""The number of slices of the table, by id, which are cleared of old requests one after another."""

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
_IDS_PER_QUERY = 500


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


def read_sides(database: sqlite3.Connection, requests: Sequence[bytes], oldest_ms: int) -> dict[bytes, StoredRequest]:
    """Return what is stored of each request id, without ids whose newest side is older than ``oldest_ms``."""
    stored: dict[bytes, StoredRequest] = {}
    for start in range(0, len(requests), _IDS_PER_QUERY):
        ids = requests[start : start + _IDS_PER_QUERY]
        marks = ",".join("?" * len(ids))
        for request, sides, newest, message, repeated in database.execute(
            f"SELECT id, sides, newest, message, repeated FROM request WHERE newest >= ? AND id IN ({marks})",  # noqa: S608  # question marks alone
            (oldest_ms, *ids),
        ):
            stored[request] = StoredRequest(sides, newest, message, bool(repeated))
    return stored


def read_far_apart(database: sqlite3.Connection, oldest_ms: int, span_ms: int) -> Iterator[tuple[bytes, StoredRequest]]:
    """Yield each request id with sides further apart than a span, unless its newest side is older than ``oldest_ms``.

    The whole table is read, and may not be changed meanwhile.
    """
    for request, sides, newest, message, repeated in database.execute(
        "SELECT id, sides, newest, message, repeated FROM request WHERE newest >= ? AND length(sides) > ?",
        (oldest_ms, SIDE.itemsize),
    ):
        if newest - min(side.request_in for side in unpacked(sides)) > span_ms:
            yield request, StoredRequest(sides, newest, message, bool(repeated))


def write_sides(
    database: sqlite3.Connection, requests: Mapping[bytes, StoredRequest], former: Mapping[bytes, StoredRequest]
) -> None:
    """Write these requests. ``former`` is what is stored of them so far."""
    new: list[tuple[Any, ...]] = []
    changed: list[tuple[Any, ...]] = []
    for request, stored in requests.items():
        repeated, message = int(stored.repeated), stored.message
        same = request in former and former[request].message == message
        intact = checksum(crc32(request), stored.newest, crc32(stored.sides), message, repeated)
        row = stored.newest, bytearray(stored.sides), repeated, intact, bytearray(request)
        if same:
            changed.append(row)
        else:
            new.append((*row, message))
    # sqlite3 binds bytearrays at once, but asks adapters about bytes. A message that stays is left out of the update,
    # which so does not touch the index on it.
    database.executemany(
        "INSERT OR REPLACE INTO request (newest, sides, repeated, intact, id, message) VALUES (?, ?, ?, ?, ?, ?)", new
    )
    database.executemany("UPDATE request SET newest = ?, sides = ?, repeated = ?, intact = ? WHERE id = ?", changed)


def drop_old(database: sqlite3.Connection, slices: range, oldest_ms: int) -> None:
    """Drop requests whose newest side is older than ``oldest_ms``, from some of SLICES.

    All sides of an id go together, so that no half of an exchange stays behind.
    """
    for number in slices:
        database.execute("DELETE FROM request WHERE id >= ? AND id < ? AND newest < ?", (*_id_range(number), oldest_ms))


def pairs_in_use(database: sqlite3.Connection, slices: range) -> set[int]:
    """Return the numbers of the pairs that the sides in some of SLICES refer to."""
    numbers: set[int] = set()
    for number in slices:
        rows = database.execute("SELECT sides FROM request WHERE id >= ? AND id < ?", _id_range(number))
        found = np.frombuffer(b"".join(sides for (sides,) in rows), SIDE)
        numbers.update(np.unique(found["pair"]).tolist())
    return numbers


def _id_range(number: int) -> tuple[bytes, bytes]:
    """Return the first id of a slice and the first one after it."""
    first, end = (struct.pack(">I", part << 20) if part < SLICES else b"\xff" * 17 for part in (number, number + 1))
    return first, end
