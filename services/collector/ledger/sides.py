"""The table of requests: the sides of every request id within the pairing span, for de-duplication and pairing.

A row holds all sides of one id, packed: they are read, paired and written together, in the order of the ids, which is
that of the disk.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from services.collector.ledger.parties import PartyPairs
from services.collector.records import ExchangeResult, Side

__all__ = ["SLICES", "apart", "forget", "keep", "known", "named"]

SLICES = 4096
"""Parts of the table, by id, that are cleared of what is old one after another."""

_SIDE = struct.Struct("<16sBBIqqqqqq")
_PAIR = np.dtype({"names": ["pair"], "formats": ["<u4"], "offsets": [18], "itemsize": _SIDE.size})
_NONE = -1  # stamps and sizes are not negative
_AT_ONCE = 500


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


def _unpacked(request: bytes, sides: bytes, pairs: PartyPairs) -> Iterator[Side]:
    for digest, kind, result, pair, request_in, out, back, response_out, sent, received in _SIDE.iter_unpack(sides):
        yield Side(
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


def known(
    database: sqlite3.Connection, requests: Sequence[bytes], pairs: PartyPairs, oldest_ms: int
) -> dict[bytes, list[Side]]:
    """Find the sides already there of each request id that has any; of an id whose newest side is older, none are."""
    found: dict[bytes, list[Side]] = {}
    for start in range(0, len(requests), _AT_ONCE):
        some = requests[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        for request, sides in database.execute(
            f"SELECT id, sides FROM request WHERE newest >= ? AND id IN ({marks})",  # noqa: S608  # question marks alone
            (oldest_ms, *some),
        ):
            found[request] = list(_unpacked(request, sides, pairs))
    return found


def apart(
    database: sqlite3.Connection, pairs: PartyPairs, oldest_ms: int, span_ms: int
) -> Iterator[tuple[bytes, list[Side]]]:
    """Find each request id whose sides lie further apart than a span, but none whose newest side is older. All of the table
    is read; it may not be changed meanwhile.
    """
    for request, packed in database.execute(
        "SELECT id, sides FROM request WHERE newest >= ? AND length(sides) > ?", (oldest_ms, _SIDE.size)
    ):
        found = list(_unpacked(request, packed, pairs))
        moments = [side.request_in for side in found]
        if max(moments) - min(moments) > span_ms:
            yield request, found


def keep(database: sqlite3.Connection, requests: Mapping[bytes, Sequence[tuple[Side, int]]]) -> None:
    """Write all sides of each of these requests, each with the number of its pair, in place of what was there."""
    database.executemany(
        "INSERT OR REPLACE INTO request VALUES (?, ?, ?)",
        (
            (request, max(side.request_in for side, _ in sides), b"".join(_packed(side, pair) for side, pair in sides))
            for request, sides in sorted(requests.items())
        ),
    )


def forget(database: sqlite3.Connection, slices: range, oldest_ms: int) -> None:
    """Drop requests whose newest side is older, from some of SLICES. All sides of an id go together, so that no half of a
    pair stays behind.
    """
    for number in slices:
        database.execute("DELETE FROM request WHERE id >= ? AND id < ? AND newest < ?", (*_ids(number), oldest_ms))


def named(database: sqlite3.Connection, slices: range) -> set[int]:
    """Numbers of the pairs that the sides in some of SLICES name."""
    found: set[int] = set()
    for number in slices:
        rows = database.execute("SELECT sides FROM request WHERE id >= ? AND id < ?", _ids(number))
        packed = np.frombuffer(b"".join(sides for (sides,) in rows), _PAIR)
        found.update(np.unique(packed["pair"]).tolist())
    return found


def _ids(number: int) -> tuple[bytes, bytes]:
    """From which id on, and up to which, a slice goes."""
    first, end = (struct.pack(">I", one << 20) if one < SLICES else b"\xff" * 17 for one in (number, number + 1))
    return first, end
