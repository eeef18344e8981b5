"""Gives exclusive access to the evidence, and runs slow work in a thread so that the event loop stays responsive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from services.core.tasks import run_in_thread

T = TypeVar("T")

SLICE_SECONDS = 0.05
"""How long work may hold the lock before others get a turn."""


class EvidenceLock:
    """A lock that all code holds while it reads or changes the evidence. Waiters get ``lock`` in the order of arrival.

    ``changed`` is set when the published index is out of date.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.changed = asyncio.Event()

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in a thread with the lock held, and return its result."""
        async with self.lock:
            return await run_in_thread(call)

    async def run_in_slices(self, pieces: Iterator[object]) -> None:
        """Run pieces of work in a thread, and let others have the lock after every SLICE_SECONDS."""
        while not await self.run(partial(_run_slice, pieces)):
            pass


def _run_slice(pieces: Iterator[object]) -> bool:
    """Run pieces for one slice; return whether none are left."""
    until = time.monotonic() + SLICE_SECONDS
    return all(time.monotonic() < until for _ in pieces)
