"""Follows the newest edition of the figures, from which every page is made, and whether the api still answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from services.client import Client
from services.console.queries.figures import government_figure
from services.console.queries.names import Names, fetch_names
from services.core.errors import ApiError
from services.core.log import Logger

_POLL_SECONDS = 1.0
_WITHOUT_INDEX_SECONDS = 5.0  # an index then comes with another register, or with a day

_STILL_TO_COME = frozenset({"REGISTER_UNPUBLISHED", "INDICATOR_UNPUBLISHED"})
"""What an api says that answers, but has no figures yet."""


@dataclass(frozen=True, slots=True)
class Edition:
    """The versions behind every number at one moment; two consoles with the same edition show the same pages."""

    as_of: int
    evidence_sequence: int
    register_version: str
    probe_version: str
    method_version: str
    published: int
    """When the register in force was published: its texts may change without its versions."""

    @property
    def has_index(self) -> bool:
        """Whether the government has an index; without one, ``method_version`` is empty and no evidence is counted."""
        return bool(self.method_version)


class EditionFeed:
    """Reads the newest edition from the api once a second, or less often while there is no index.

    ``naming`` is the same api in the role whose names pages may show; ``clock`` is in seconds, monotonic.
    """

    def __init__(self, api: Client, naming: Client, log: Logger, clock: Callable[[], float]) -> None:
        self._api = api
        self._naming = naming
        self._log = log
        self._clock = clock
        self._lost_since: float | None = clock()
        self._told: set[tuple[type[ApiError], str]] = set()  # kinds of failure that the log has since the api was lost
        self._window = 0  # that had an index last
        self.awaits_figures = True
        """Whether there was no figure yet, and not because the api does not answer or refuses."""
        self.edition: Edition | None = None
        self.names: Names | None = None

    @property
    def away_seconds(self) -> float:
        """How long the api has not answered, 0 while it does."""
        return 0.0 if self._lost_since is None else self._clock() - self._lost_since

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            try:
                await self.refresh()
            except ApiError as error:
                self._log.debug("api_does_not_answer", reason=str(error))
            rests = self._lost_since is None and self.edition is not None and not self.edition.has_index
            await asyncio.sleep(_WITHOUT_INDEX_SECONDS if rests else _POLL_SECONDS)

    async def refresh(self) -> None:
        """Read the edition, and the names if the register changed. Raises ApiError when there is no answer."""
        try:
            await self._refresh()
        except ApiError as error:
            if self._lost_since is None:
                self._lost_since = self._clock()
            self.awaits_figures = self.edition is None and error.reason in _STILL_TO_COME
            kind = (type(error), error.reason)
            if not self.awaits_figures and kind not in self._told:
                self._told.add(kind)
                self._log.warning("api_lost", reason=str(error))
            raise
        self._lost_since = None
        self.awaits_figures = False
        self._told.clear()

    async def _refresh(self) -> None:
        register = await self._api.register()
        figure = await self._government(register.windows_days)
        before, edition = self.edition, _edition(register, figure)
        named = before and (before.published, before.register_version)  # the register whose names are known
        if named != (edition.published, edition.register_version):
            self.names = await fetch_names(self._naming)
        self.edition = edition

    async def _government(self, windows: Iterable[int]) -> Any:
        """Return the government's indicator in a window that has one, None when no inquiry is in force."""
        for days in sorted(windows, key=self._window.__ne__):
            figure = await government_figure(self._api, days)
            if figure is not None:
                self._window = days
                return figure
        return None


def _edition(register: Any, figure: Any) -> Edition:
    """Return the edition of an index or, where ``figure`` is None, of a register without one: each slot makes a new one."""
    now = int(time.time())
    source = register if figure is None else figure
    return Edition(
        as_of=now - now % register.slot_seconds if figure is None else figure.as_of.seconds,
        evidence_sequence=0 if figure is None else figure.evidence_sequence,
        register_version=source.register_version,
        probe_version=source.probe_version,
        method_version="" if figure is None else figure.method_version,
        published=register.published.seconds,
    )
