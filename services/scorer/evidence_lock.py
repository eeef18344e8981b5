"""Turns at the evidence: what takes long runs in a thread, one at a time, so that the loop goes on answering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from services.core.tasks import run_in_thread

__all__ = ["SLICE_SECONDS", "EvidenceLock"]

T = TypeVar("T")

SLICE_SECONDS = 0.05
"""How long pieces of work follow each other before others have their turn."""


class EvidenceLock:
    """Whoever looks at the evidence, or changes it, holds ``lock``; those who wait get it in the order they came."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns, made in a thread that has the evidence to itself."""
        async with self.lock:
            return await run_in_thread(call)

    async def run_in_slices(self, pieces: Iterator[object]) -> None:
        """Go through pieces of work likewise, with others in between."""
        while not await self.run(partial(_some, pieces)):
            pass


def _some(pieces: Iterator[object]) -> bool:
    """Go on with pieces for a turn; return whether that was all of them."""
    until = time.monotonic() + SLICE_SECONDS
    return all(time.monotonic() < until for _ in pieces)
