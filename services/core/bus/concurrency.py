"""Many calls to the bus, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from services.core.errors import BusError

__all__ = ["BoundedTaskGroup", "Call"]

Call = Callable[[], Coroutine[Any, Any, object]]


class BoundedTaskGroup:
    """At most so many calls under way at once, whoever makes them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._gate = asyncio.Semaphore(most)

    async def each(self, calls: Iterable[Call | None]) -> None:
        """Make all calls; each is asked for as there is room, and may turn out to be none. Raises BusError when any does."""
        try:
            async with asyncio.TaskGroup() as group:
                for at, call in enumerate(calls):
                    if call is not None:
                        await self._gate.acquire()
                        # Not by the call itself: one that is cancelled before it begins would never let go.
                        group.create_task(call()).add_done_callback(lambda _: self._gate.release())
                    if at % self._most == 0:
                        await asyncio.sleep(0)
        except* BusError as errors:
            raise errors.exceptions[0] from None
