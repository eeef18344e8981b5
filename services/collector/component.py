"""The tasks of a run, and how they end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from services.core.errors import PeyvandError

__all__ = ["Crew", "end"]


class Crew:
    """Tasks that work until the stop; the first that fails brings it about, so that all end in good order."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._failure: PeyvandError | None = None

    async def work(self, coroutine: Coroutine[None, None, None]) -> None:
        """Do one task's work."""
        try:
            await coroutine
        except PeyvandError as error:
            self._failure = self._failure or error
            self._stop.set()

    def check(self) -> None:
        """Raise the failure that brought about the stop, if one did."""
        if self._failure is not None:
            raise self._failure


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is done: on Python 3.11 a wait that is satisfied in the same moment swallows a cancel."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
