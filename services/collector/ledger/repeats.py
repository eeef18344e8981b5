"""Marks requests that repeat another one (docs/exchange.md §3).

They have its message id, client and service under a request id of their own. Of the requests of one message, the one
with the lowest id counts as the first, and the others repeat it. That follows from which requests exist, in whatever
order they come. A request keeps whether it was counted as a repeat, so that it is subtracted as it was added, even if
the first is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from services.collector.ledger.requests import Requests
from services.collector.ledger.sides import StoredRequest

_LAST = b"\xff" * 17  # after every request id


def mark_repeats(
    requests: Requests,
    changed: dict[bytes, StoredRequest],
    moved: Collection[bytes],
    first_before: Mapping[int, bytes],
    oldest_ms: int,
) -> dict[bytes, StoredRequest]:
    """Mark which of the requests that have ``changed``, and are already among ``requests``, repeat another.

    Some of them have ``moved`` to a message. ``first_before`` holds the first requests, until then, of that message and
    of the one before. Returns the other requests whose mark has changed too, as they were before. ``changed`` then
    holds them as well.
    """
    first = _first_now(requests, changed, moved, first_before)
    others = {*first.values(), *first_before.values()} - changed.keys()
    found = requests.read(others, oldest_ms)
    now = {**changed, **found}
    wrong = {
        request: not one.repeated
        for request, one in now.items()
        if one.message in first and one.repeated != (first[one.message] != request)
    }
    if not wrong:
        return {}
    marked = {request: replace(now[request], repeated=mark) for request, mark in wrong.items()}
    requests.change(marked, now)
    changed |= marked
    return {request: found[request] for request in wrong.keys() & found.keys()}


def _first_now(
    requests: Requests,
    changed: Mapping[bytes, StoredRequest],
    moved: Collection[bytes],
    first_before: Mapping[int, bytes],
) -> dict[int, bytes]:
    """Return the first request of each of these messages.

    Messages are read again only if the first one has moved to another message.
    """
    first = dict(first_before)
    for request in moved:
        message = changed[request].message
        if message is not None and request < first.get(message, _LAST):
            first[message] = request
    left = {one for one, request in first_before.items() if request in changed and changed[request].message != one}
    return {one: request for one, request in first.items() if one not in left} | requests.first(left)
