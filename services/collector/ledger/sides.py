"""The table of requests: the sides of every request id within the pairing span, for de-duplication and pairing.

A row holds all sides of one id, packed: they are read, paired and written together, in the order of the ids, which is
the order on disk.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from services.collector.ledger.parties import PartyPairs
from services.collector.records import ExchangeResult, Side
from services.core.checked_rows import checksum

SLICES = 4096
"""Parts of the table, by id, that are cleared of old requests one after another."""

_SIDE = struct.Struct("<16sBBIqqqqqq")
_PAIR = np.dtype({"names": ["pair"], "formats": ["<u4"], "offsets": [18], "itemsize": _SIDE.size})
_NONE = -1  # stamps and sizes are not negative
_IDS_PER_QUERY = 500


def _packed(side: Side, pair: int) -> bytes:
    out, back = side.request_out, side.response_in
    sent, received = side.request_bytes, side.response_bytes
    return _SIDE.pack(
        side.digest,
        2 if side.whole else side.producer,
        side.result,
        pair,
        side.request_in,
        _NONE if out is None else out,
        _NONE if back is None else back,
        side.response_out,
        _NONE if sent is None else sent,
        _NONE if received is None else received,
    )


def _unpacked(request: bytes, sides: bytes, pairs: PartyPairs) -> list[Side]:
    return [
        Side(
            digest,
            request,
            kind == 1,
            pairs.parties(pair),
            request_in,
            None if out == _NONE else out,
            None if back == _NONE else back,
            response_out,
            ExchangeResult(result),
            None if sent == _NONE else sent,
            None if received == _NONE else received,
            kind == 2,
        )
        for digest, kind, result, pair, request_in, out, back, response_out, sent, received in _SIDE.iter_unpack(sides)
    ]


class StoredRequest(msgspec.Struct, frozen=True, gc=False):
    """The sides of a request id, its ``message``, the lowest of theirs or None, and whether it is ``repeated``: counted as a repeat of another
    request of the message.
    """

    sides: list[Side]
    message: int | None = None
    repeated: bool = False


def read_sides(
    database: sqlite3.Connection, requests: Sequence[bytes], pairs: PartyPairs, oldest_ms: int
) -> dict[bytes, StoredRequest]:
    """Return what is stored of each request id that has any sides; nothing for an id whose newest side is older."""
    stored: dict[bytes, StoredRequest] = {}
    for start in range(0, len(requests), _IDS_PER_QUERY):
        ids = requests[start : start + _IDS_PER_QUERY]
        marks = ",".join("?" * len(ids))
        for request, sides, message, repeated in database.execute(
            f"SELECT id, sides, message, repeated FROM request WHERE newest >= ? AND id IN ({marks})",  # noqa: S608  # question marks alone
            (oldest_ms, *ids),
        ):
            stored[request] = StoredRequest(_unpacked(request, sides, pairs), message, bool(repeated))
    return stored


def read_far_apart(
    database: sqlite3.Connection, pairs: PartyPairs, oldest_ms: int, span_ms: int
) -> Iterator[tuple[bytes, StoredRequest]]:
    """Yield each request id with sides further apart than a span, except those whose newest side is older.

    The whole table is read, and may not be changed meanwhile.
    """
    for request, packed, message, repeated in database.execute(
        "SELECT id, sides, message, repeated FROM request WHERE newest >= ? AND length(sides) > ?",
        (oldest_ms, _SIDE.size),
    ):
        sides = _unpacked(request, packed, pairs)
        moments = [side.request_in for side in sides]
        if max(moments) - min(moments) > span_ms:
            yield request, StoredRequest(sides, message, bool(repeated))


def write_sides(
    database: sqlite3.Connection,
    requests: Mapping[bytes, StoredRequest],
    former: Mapping[bytes, StoredRequest],
    pairs: PartyPairs,
) -> None:
    """Write all sides of these requests, each with the number of its pair; ``former`` is what is stored of them so far."""
    rows: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]] = [], []
    for request, stored in requests.items():
        packed = b"".join([_packed(side, pairs.number(side.parties)) for side in stored.sides])
        newest = max([side.request_in for side in stored.sides])
        repeated, message = int(stored.repeated), stored.message
        same = request in former and former[request].message == message
        intact = checksum(request, newest, packed, message, repeated)
        rows[same].append((newest, bytearray(packed), repeated, message, intact, bytearray(request)))
    # sqlite3 binds bytearrays at once, and asks adapters about bytes. A message that stays is no part of an update, which so leaves the index on it alone.
    database.executemany(
        "INSERT OR REPLACE INTO request (newest, sides, repeated, message, intact, id) VALUES (?, ?, ?, ?, ?, ?)",
        rows[0],
    )
    database.executemany(
        "UPDATE request SET newest = ?1, sides = ?2, repeated = ?3, intact = ?5 WHERE id = ?6", rows[1]
    )


def drop_old(database: sqlite3.Connection, slices: range, oldest_ms: int) -> None:
    """Drop requests whose newest side is older, from some of SLICES.

    All sides of an id go together, so that no half of an exchange stays behind.
    """
    for number in slices:
        database.execute("DELETE FROM request WHERE id >= ? AND id < ? AND newest < ?", (*_id_range(number), oldest_ms))


def pairs_in_use(database: sqlite3.Connection, slices: range) -> set[int]:
    """Return the numbers of the pairs that the sides in some of SLICES refer to."""
    numbers: set[int] = set()
    for number in slices:
        rows = database.execute("SELECT sides FROM request WHERE id >= ? AND id < ?", _id_range(number))
        packed = np.frombuffer(b"".join(sides for (sides,) in rows), _PAIR)
        numbers.update(np.unique(packed["pair"]).tolist())
    return numbers


def _id_range(number: int) -> tuple[bytes, bytes]:
    """Return the first id of a slice and the first one after it."""
    first, end = (struct.pack(">I", part << 20) if part < SLICES else b"\xff" * 17 for part in (number, number + 1))
    return first, end
