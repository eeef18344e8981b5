"""Bus calls made concurrently, up to a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from services.core.errors import BusError

Call = Callable[[], Coroutine[Any, Any, object]]


class BoundedTaskGroup:
    """Runs calls as tasks, at most ``limit`` at a time over all callers of `run`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots = asyncio.Semaphore(limit)

    async def run(self, calls: Iterable[Call | None]) -> None:
        """Make all calls. Each is taken from ``calls`` when a slot is free, and may be None. Raises the first BusError."""
        try:
            async with asyncio.TaskGroup() as group:
                for number, call in enumerate(calls):
                    if call is not None:
                        await self._slots.acquire()
                        # A callback releases the slot: a task that is cancelled before it starts runs no code of its own.
                        group.create_task(call()).add_done_callback(lambda _: self._slots.release())
                    if number % self._limit == 0:
                        await asyncio.sleep(0)
        except* BusError as errors:
            raise errors.exceptions[0] from None
