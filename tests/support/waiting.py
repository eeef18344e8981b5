"""Wait for what a test needs, however slow the machine is."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from services.core.errors import BusError

__all__ = ["DEADLINE", "answered", "eventually", "until"]

DEADLINE = 120.0
"""Seconds after which a wait fails. Only a failing test waits so long."""

_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_PAUSES_A_LOOK = 4
"""What is waited for, and other tests, have most of the machine: looking takes a fifth of the time of a wait."""
T = TypeVar("T")
What = str | Callable[[], str]


@overload
async def eventually(look: Callable[[], Awaitable[T | None]], what: What, seconds: float = DEADLINE) -> T: ...
@overload
async def eventually(look: Callable[[], T | None], what: What, seconds: float = DEADLINE) -> T: ...
async def eventually(look: Callable[[], Any], what: What, seconds: float = DEADLINE) -> Any:
    """Return what ``look`` returns, once that is true. ``what`` describes what was waited for."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        now = time.monotonic()
        assert now < end, _late(what, seconds)
        await asyncio.sleep(_pause(now - began))


async def answered(request: Callable[[], Awaitable[T]]) -> T:
    """Return what the bus answers to a request, which is repeated while no server is able to answer it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await request()
            except BusError:
                await asyncio.sleep(_PAUSE)


def until(look: Callable[[], T | None], what: What, seconds: float = DEADLINE) -> T:
    """Return what ``look`` returns, once that is true, in code that is not a coroutine."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if found := look():
            return found
        now = time.monotonic()
        assert now < end, _late(what, seconds)
        time.sleep(_pause(now - began))


def _pause(looked: float) -> float:
    """Return the seconds to wait after a look that took so many."""
    return min(max(_PAUSE, _PAUSES_A_LOOK * looked), _LONGEST_PAUSE)


def _late(what: What, seconds: float) -> str:
    return f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
