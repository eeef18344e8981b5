"""Pages over sorted ids, with opaque tokens that outlive refreshes.

A token holds the last id of its page and a fingerprint of the question, so the next page begins behind that id whatever
came or went meanwhile, and a token never continues another question.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from services.api.errors import InvalidRequestError, RequestError

__all__ = ["DEFAULT_SIZE", "MOST", "Page", "cut", "last_of", "size_of", "token_of"]

DEFAULT_SIZE = 100
MOST = 1000
_FINGERPRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Page:
    """The ids of one page and the token of the next; the token is empty on the last page."""

    ids: tuple[str, ...]
    next_token: str


def cut(
    ids: Sequence[str], question: Sequence[str], *, size: int, token: str, shown: Callable[[str], bool] | None = None
) -> Page:
    """Return the page of sorted ``ids`` that ``token`` asks for, of those that are ``shown`` (None: all).

    ``question`` is everything that decides which ids there are (method, kind, filters, window). ``size`` 0 means 100.
    Raises RequestError for a size above 1000 or a token that is not of this question.
    """
    wanted = size_of(size)
    start = bisect_right(ids, last_of(question, token)) if token else 0
    found: list[str] = []
    for position in range(start, len(ids)):
        if shown is not None and not shown(ids[position]):
            continue
        if len(found) == wanted:
            return Page(tuple(found), token_of(question, found[-1]))
        found.append(ids[position])
    return Page(tuple(found), "")


def size_of(asked: int) -> int:
    """Return how many a page holds: 100 when 0 are asked for. Raises RequestError for more than 1000."""
    if asked > MOST:
        raise InvalidRequestError(
            "PAGE_SIZE_TOO_LARGE",
            f"page_size {asked} is more than {MOST}: ask for at most {MOST} and follow next_page_token",
            page_size=str(asked),
        )
    return asked or DEFAULT_SIZE


def token_of(question: Sequence[str], last: str) -> str:
    """Return the token of the page that follows ``last``."""
    return urlsafe_b64encode(_fingerprint(question) + last.encode()).decode()


def last_of(question: Sequence[str], token: str) -> str:
    """Return what the page before ended with. Raises RequestError for a token that is not of this question."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
        last = raw[_FINGERPRINT_BYTES:].decode()
    except ValueError as error:
        raise _bad_token("is not one of ours") from error
    if raw[:_FINGERPRINT_BYTES] != _fingerprint(question):
        raise _bad_token("belongs to another question")
    return last


def _fingerprint(question: Sequence[str]) -> bytes:
    return blake2b("\0".join(question).encode(), digest_size=_FINGERPRINT_BYTES).digest()


def _bad_token(why: str) -> RequestError:
    return InvalidRequestError(
        "PAGE_TOKEN_INVALID",
        f"page_token {why}: repeat the request that it came from, changing page_size at most, or leave it empty",
    )
