"""Defines the frame of every page: its reader, language, window and edition, and the addresses of other pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlencode

from services.console.queries import Edition, Names
from services.console.texts import LANGUAGES, Language
from services.console.web.assets import Assets
from services.console.web.readers import Reader

PARAMETERS = frozenset(
    (
        *("window", "span", "side", "links", "sort", "sector", "name", "consumer_sector", "provider_sector"),
        *("level", "q", "back", "lang", "kind", "id"),
    )
)
"""The parameters that the query of an address may hold. Others are dropped, so that they make no pages of their own."""

_LONGEST_KEPT = 300
"""The most characters of a cached address; those that pages write of themselves are shorter."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of one page for one reader.

    ``path`` is the address without the language, ``query`` what follows it; ``page`` is the name of the page, and
    ``is_page`` says whether the address is a page and not a file.
    ``edition`` and ``names`` are None before the api has answered for the first time.
    """

    language: Language
    page: str
    path: str
    assets: Assets
    query: Mapping[str, str]
    edition: Edition | None
    names: Names | None
    window: int
    is_page: bool
    audience: str
    reader: Reader
    base: str
    dashboards: str
    renew_seconds: int

    def link(self, path: str, **query: object) -> str:
        """Return the address of a page in this language; a window that was chosen stays chosen."""
        window = self.query.get("window")
        kept = [(key, str(value)) for key, value in query.items() if value not in ("", None)]
        if window is not None and "window" not in query:
            kept.insert(0, ("window", window))
        return _address(f"/{self.language.code}{path}", tuple(kept))

    def here(self, **changes: object) -> str:
        """Return the address of this page with some of its query changed; None removes a key."""
        return self._address(self.language.code, {**self.query, **changes})

    def in_language(self, code: str) -> str:
        """Return the address of this page in another language, with its filter and window."""
        return self._address(code, dict(self.query))

    def _address(self, code: str, query: Mapping[str, object]) -> str:
        kept = tuple((key, str(value)) for key, value in query.items() if value is not None)
        return _address(f"/{code}{self.path}", kept)

    @property
    def sign_in(self) -> str:
        """The address of the sign-in, which leads back to this page, or to where a sign-in under way leads."""
        return self.link("/sign-in", back=self.query.get("back") or (self.here() if self.is_page else None))

    @property
    def others(self) -> tuple[Language, ...]:
        """The other languages."""
        return tuple(language for language in LANGUAGES.values() if language != self.language)


def _address(path: str, query: tuple[tuple[str, str], ...]) -> str:
    length = len(path) + sum(len(key) + len(value) for key, value in query)
    return _kept_address(path, query) if length <= _LONGEST_KEPT else _write_address(path, query)


def _write_address(path: str, query: tuple[tuple[str, str], ...]) -> str:
    return quote(path) + (f"?{urlencode(query)}" if query else "")


_kept_address = lru_cache(maxsize=10_000)(_write_address)  # a page has hundreds, and pages have many in common
