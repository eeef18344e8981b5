"""Marks requests that repeat another one (docs/exchange.md §3).

They have its message id, client and service under a request id of their own. Of the requests of one message, the one
with the lowest id counts as the first, and the others repeat it. That follows from which requests exist, in whatever
order they come. A request keeps whether it was counted as a repeat, so that it is subtracted as it was added, even if
the first is forgotten.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from services.collector.ledger.sides import StoredRequest, read_sides

_LAST = b"\xff" * 17  # after every request id
_FIRST = "SELECT value, (SELECT min(id) FROM request WHERE message = value) FROM json_each(?)"


def first_requests(database: sqlite3.Connection, messages: Iterable[int | None]) -> dict[int, bytes]:
    """Return the first request of each message that has any."""
    asked = sorted({message for message in messages if message is not None})
    rows = database.execute(_FIRST, (json.dumps(asked),)) if asked else ()
    return {message: request for message, request in rows if request is not None}


def mark_repeats(
    database: sqlite3.Connection,
    changed: dict[bytes, StoredRequest],
    moved: Collection[bytes],
    first_before: Mapping[int, bytes],
    oldest_ms: int,
) -> dict[bytes, StoredRequest]:
    """Mark which of the requests that have ``changed``, and are already written, repeat another.

    Some of them have ``moved`` to a message. ``first_before`` holds the first requests, until then, of that message and
    of the one before. Returns the other requests whose mark has changed too, as they were before. ``changed`` then
    holds them as well.
    """
    first = _first_now(database, changed, moved, first_before)
    others = {*first.values(), *first_before.values()} - changed.keys()
    found = read_sides(database, list(others), oldest_ms)
    now = {**changed, **found}
    wrong = {
        request: not one.repeated
        for request, one in now.items()
        if one.message in first and one.repeated != (first[one.message] != request)
    }
    if not wrong:
        return {}
    database.executemany(
        "UPDATE request SET repeated = ?, intact = checksum(crc32(id), newest, crc32(sides), message, ?) WHERE id = ?",
        [(int(mark), int(mark), request) for request, mark in sorted(wrong.items())],
    )
    changed.update((request, replace(now[request], repeated=mark)) for request, mark in wrong.items())
    return {request: found[request] for request in wrong.keys() & found.keys()}


def _first_now(
    database: sqlite3.Connection,
    changed: Mapping[bytes, StoredRequest],
    moved: Collection[bytes],
    first_before: Mapping[int, bytes],
) -> dict[int, bytes]:
    """Return the first request of each of these messages.

    The database is queried again only if the first one has moved to another message.
    """
    first = dict(first_before)
    for request in moved:
        message = changed[request].message
        if message is not None and request < first.get(message, _LAST):
            first[message] = request
    left = {one for one, request in first_before.items() if request in changed and changed[request].message != one}
    return {one: request for one, request in first.items() if one not in left} | first_requests(database, left)
