"""The table of sides: every record within the pairing span, for de-duplication and pairing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from services.collector.pairs import Pairs
from services.collector.record import Result, Side

__all__ = ["forget", "insert", "known"]


def known(database: sqlite3.Connection, requests: Iterable[bytes], pairs: Pairs) -> dict[bytes, list[Side]]:
    """Find the sides already there of each request id that has any."""
    found: dict[bytes, list[Side]] = {}
    for one in requests:
        for row in database.execute("SELECT * FROM side WHERE request = ?", (one,)):
            request, digest, kind, pair, request_in, request_out, response_in, response_out, result, out, back = row
            stamps = (request_in, request_out, response_in, response_out)
            parties = pairs.parties(pair)
            side = Side(digest, request, kind == 1, parties, *stamps, Result(result), out, back, kind == 2)
            found.setdefault(one, []).append(side)
    return found


def insert(database: sqlite3.Connection, sides: Sequence[tuple[Side, int]]) -> None:
    """Enter new sides, each with the number of its pair."""
    database.executemany(
        "INSERT INTO side VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(side.request, side.digest, 2 if side.whole else side.producer, pair),
                *(side.request_in, side.request_out, side.response_in, side.response_out),
                *(side.result, side.request_bytes, side.response_bytes),
            )
            for side, pair in sides
        ],
    )


def forget(database: sqlite3.Connection, oldest_ms: int) -> None:
    """Drop sides older than that. The sides of one request id go together, so that no half of a pair stays behind."""
    database.execute(
        "DELETE FROM side WHERE request_in < ? AND NOT EXISTS"
        " (SELECT 1 FROM side AS other WHERE other.request = side.request AND other.request_in >= ?)",
        (oldest_ms, oldest_ms),
    )
