"""Measure how long the event loop of this process stalls: the longest wait of a task for its turn."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

__all__ = ["Stalls"]

BEAT_SECONDS = 0.005


class Stalls:
    """While entered, a task asks for its turn every few milliseconds, and the longest wait is kept.

    The CPU time that the process used during a wait is kept too. Other processes took the rest of the wait.
    """

    def __init__(self) -> None:
        self.longest = self.own = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.sleep(BEAT_SECONDS)
        self._task.cancel()

    def __str__(self) -> str:
        return f"{self.longest * 1000:,.0f} ms ({self.own * 1000:,.0f} ms of CPU)"

    async def _beat(self) -> None:
        while True:
            begun, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(BEAT_SECONDS)
            waited = time.perf_counter() - begun - BEAT_SECONDS
            self.longest = max(self.longest, waited)
            self.own = max(self.own, min(waited, time.process_time() - cpu))
