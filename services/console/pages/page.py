"""Defines a page: an address, a gathering function and a template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.client import Client
from services.console.queries import Edition, Names, RoundFiles
from services.console.texts import alphabetical, texts_of
from services.core.model import in_language


class NoSuchPageError(Exception):
    """The address names something that does not exist, or that this reader may not see."""


@dataclass(frozen=True, slots=True)
class Visit:
    """The input of a gathering function: who reads what, and the api.

    ``api`` answers in the reader's role. ``window`` is one of the register's windows in days, 0 for the default one.
    ``base`` is the console's public address, without a slash at its end.
    """

    api: Client
    names: Names
    edition: Edition
    language: str
    window: int
    path: Mapping[str, str]
    query: Mapping[str, str]
    base: str
    sees_links: bool
    """Whether services, links and what is behind them are shown to this reader."""
    sees_everything: bool
    """Whether that holds for the links of every agency."""
    round_files: RoundFiles
    open_data: Path | None = None
    """The folder of the export of open data that is served."""

    def chosen(self, name: str, *choices: str) -> str:
        """Return the choice that the address makes, the first one if it makes none of them."""
        value = self.query.get(name, "")
        return value if value in choices else choices[0]

    def either(self, english: str, persian: str) -> str:
        """Return the text in the reader's language, else in the other one."""
        return in_language(self.language, english, persian)

    def agency(self, agency: str) -> str:
        """Return an agency's name in the reader's language."""
        return self.names.agency(agency, self.language)

    def sectors(self) -> tuple[str, ...]:
        """Return every sector in the order of their names in the reader's language."""
        return tuple(sorted(self.names.sectors, key=self.sector_order))

    def sector_order(self, sector: str) -> tuple[str, str]:
        """Return the key that sorts sectors by name, and those of the same name by id."""
        return alphabetical(texts_of(self.language).word("sector", sector)), sector

    def agency_order(self, agency: str) -> str:
        """Return the key that sorts agencies by name."""
        return alphabetical(self.agency(agency))

    def service(self, service: str) -> str:
        """Return a service's name in the reader's language."""
        return self.names.service(service, self.language)


@dataclass(frozen=True, slots=True)
class Page:
    """A page at ``/<language><path>``, made by ``gather`` and shown by ``templates/<name>.html``.

    ``is_public`` says whether the public sees it; a console for audience `open` shows every page to everybody.
    """

    name: str
    path: str
    gather: Callable[[Visit], Awaitable[Any]]
    is_public: bool = True


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is sent as it is: its media type and its text."""

    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A body too long to be held whole: its media type and its text in pieces, at least one."""

    type: str
    pieces: AsyncIterator[str]


@dataclass(frozen=True, slots=True)
class File:
    """A file that is served at ``path`` in no language of its own, such as data, a feed or a badge.

    ``is_framed`` says whether pages of other sites may show it. A file that ``is_long`` is gathered as a Stream, and
    sent as it is made.
    """

    name: str
    path: str
    gather: Callable[[Visit], Awaitable[Content | Stream]]
    is_public: bool = True
    is_framed: bool = False
    is_long: bool = False
