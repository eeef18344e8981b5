"""Follows the newest edition of the figures, from which every page is made, and whether the api still answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.client import Client
from services.console.queries.names import Names, fetch_names
from services.core.errors import ApiError
from services.core.log import Logger
from services.core.model import IndicatorKind

_POLL_SECONDS = 1.0


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


class EditionFeed:
    """Reads the newest edition from the api once a second.

    ``naming`` is the same api in the role whose names pages may show; ``clock`` is in seconds, monotonic.
    """

    def __init__(self, api: Client, naming: Client, log: Logger, clock: Callable[[], float]) -> None:
        self._api = api
        self._naming = naming
        self._log = log
        self._clock = clock
        self._lost_since: float | None = clock()
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
            await asyncio.sleep(_POLL_SECONDS)

    async def refresh(self) -> None:
        """Read the edition, and the names if the register changed. Raises ApiError when there is no answer."""
        try:
            await self._refresh()
        except ApiError as error:
            if self._lost_since is None:
                self._lost_since = self._clock()
                self._log.warning("api_lost", reason=str(error))
            raise
        self._lost_since = None

    async def _refresh(self) -> None:
        figure, register = await asyncio.gather(self._api.indicator(IndicatorKind.GOVERNMENT), self._api.register())
        edition = Edition(
            as_of=figure.as_of.seconds,
            evidence_sequence=figure.evidence_sequence,
            register_version=figure.register_version,
            probe_version=figure.probe_version,
            method_version=figure.method_version,
            published=register.published.seconds,
        )
        before = self.edition
        if before is None or (before.published, before.register_version) != (
            edition.published,
            edition.register_version,
        ):
            self.names = await fetch_names(self._naming)
        self.edition = edition
