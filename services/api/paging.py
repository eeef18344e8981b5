"""Splits sorted ids into pages, with opaque tokens that stay valid across refreshes.

A token holds the last id of its page and a fingerprint of the query. The next page begins after that id, whatever was
added or removed meanwhile. Any other query refuses the token. A page is bounded by its number of ids, and by the bytes of
its messages.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

from google.protobuf.message import Message

from services.api.errors import InvalidRequestError

DEFAULT_SIZE = 100
MAX_SIZE = 1000
MAX_BYTES = 3 << 20
"""The most bytes of a page's messages: clients of gRPC refuse an answer of more than 4 MiB unless told otherwise."""

_FINGERPRINT_BYTES = 8

Entry = TypeVar("Entry", bound=Message)


@dataclass(frozen=True, slots=True)
class IdPage:
    """The ids of one page and the token of the next; the token is empty on the last page."""

    ids: tuple[str, ...]
    next_token: str
    query: tuple[str, ...]

    def bounded(self, messages: Iterable[Entry]) -> tuple[list[Entry], str]:
        """Return the first of the page's ``messages``, one for each id, and the token of the page that follows them.

        They have at most MAX_BYTES together, but there is at least one.
        """
        kept: list[Entry] = []
        size = 0
        for message in messages:
            size += message.ByteSize()
            if kept and size > MAX_BYTES:
                return kept, page_token(self.query, self.ids[len(kept) - 1])
            kept.append(message)
        return kept, self.next_token


def page_of(
    ids: Sequence[str], query: Sequence[str], *, size: int, token: str, visible: Callable[[str], bool] | None = None
) -> IdPage:
    """Return the page of sorted ``ids`` that follows ``token``, of those that are ``visible`` (None: all).

    ``query`` holds everything that selects the ids (method, kind, filters, window). ``size`` 0 means 100, and
    more than 1000 means 1000. Raises RequestError for a token of another query.
    """
    return first_page(filter(visible, ids_after(ids, query, token)), query, size)


def ids_after(ids: Sequence[str], query: Sequence[str], token: str) -> Iterator[str]:
    """Return the sorted ids that follow ``token``. Raises RequestError for a token of another query."""
    start = bisect_right(ids, token_position(query, token)) if token else 0
    return islice(ids, start, None)


def first_page(ids: Iterable[str], query: Sequence[str], size: int) -> IdPage:
    """Return the page of the first ids. It is the last one if there are no more; so give one more than it holds."""
    limit = page_size(size)
    chosen = tuple(islice(ids, limit + 1))
    token = page_token(query, chosen[limit - 1]) if len(chosen) > limit else ""
    return IdPage(chosen[:limit], token, tuple(query))


def page_size(size: int) -> int:
    """Return how many ids a page holds: 100 for 0, and never more than 1000."""
    return min(size or DEFAULT_SIZE, MAX_SIZE)


def page_token(query: Sequence[str], last: str) -> str:
    """Return the token of the page that follows ``last``."""
    return urlsafe_b64encode(_fingerprint(query) + last.encode()).decode()


def token_position(query: Sequence[str], token: str) -> str:
    """Return the last id of the page before. Raises RequestError for a token of another query."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
        last = raw[_FINGERPRINT_BYTES:].decode()
    except ValueError as error:
        raise invalid_token() from error
    if raw[:_FINGERPRINT_BYTES] != _fingerprint(query):
        raise invalid_token("belongs to another question")
    return last


def invalid_token(why: str = "is not one of ours") -> InvalidRequestError:
    """Return the error for a token that no page of the query had."""
    return InvalidRequestError(
        "PAGE_TOKEN_INVALID",
        f"page_token {why}: repeat the request that it came from, changing page_size at most, or leave it empty",
    )


def _fingerprint(query: Sequence[str]) -> bytes:
    return blake2b("\0".join(query).encode(), digest_size=_FINGERPRINT_BYTES).digest()
