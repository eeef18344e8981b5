"""Caches pages as last made: the same bytes until the figures change, and for a while after the api is gone."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_BYTES = 64 << 20
"""The most bytes of cached pages, some thousand of them; a dropped page is made again."""


@dataclass(frozen=True, slots=True)
class KeptPage:
    """One page as made: ``etag`` names its edition, ``made`` is the time in seconds of the clock."""

    etag: str
    type: str
    body: bytes
    compressed: bytes
    made: float

    def size(self, key: str) -> int:
        """Return its bytes in memory under a key."""
        return len(key) + len(self.body) + len(self.compressed)


class PageCache:
    """The pages that were read last, by session and address."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pages: OrderedDict[str, KeptPage] = OrderedDict()

    def find(self, key: str) -> KeptPage | None:
        """Return the page that was last made for a key."""
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
        return page

    def keep(self, key: str, page: KeptPage) -> None:
        """Keep a page in place of the one before."""
        before = self._pages.pop(key, None)
        self._bytes += page.size(key) - (before.size(key) if before else 0)
        self._pages[key] = page
        while self._bytes > self._max_bytes:
            oldest, dropped = self._pages.popitem(last=False)
            self._bytes -= dropped.size(oldest)
