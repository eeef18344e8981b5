"""Exclusive access to the evidence, with slow work in a thread, so that the event loop stays responsive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from services.core.tasks import run_in_thread

T = TypeVar("T")

SLICE_SECONDS = 0.05
"""How long work holds the lock before it lets others in."""


class EvidenceLock:
    """Everything that reads or changes the evidence holds ``lock``; waiters get it in the order of their arrival.

    ``changed`` is set when what is published is no longer what the evidence says.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.changed = asyncio.Event()

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in a thread, with the lock held; return its result."""
        async with self.lock:
            return await run_in_thread(call)

    async def run_in_slices(self, pieces: Iterator[object]) -> None:
        """Run pieces of work in the same way, letting others in between slices of SLICE_SECONDS."""
        while not await self.run(partial(_run_slice, pieces)):
            pass


def _run_slice(pieces: Iterator[object]) -> bool:
    """Run pieces for a slice; return whether there are none left."""
    until = time.monotonic() + SLICE_SECONDS
    return all(time.monotonic() < until for _ in pieces)
