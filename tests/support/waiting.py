"""Waiting for what a test needs, however slow the machine is."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["DEADLINE", "eventually", "until"]

DEADLINE = 120.0
"""Seconds after which what a test waits for is taken as lost. Only a failing test waits so long."""

_PAUSE = 0.05
T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T | None] | T | None], what: str | Callable[[], str], seconds: float = DEADLINE
) -> T:
    """Return what ``look`` returns, once that is true. ``what`` describes what was waited for."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, _late(what, seconds)
        await asyncio.sleep(_PAUSE)


def until(condition: Callable[[], bool], what: str | Callable[[], str], seconds: float = DEADLINE) -> None:
    """Wait until a condition holds. ``what`` describes it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, _late(what, seconds)
        time.sleep(_PAUSE)


def _late(what: str | Callable[[], str], seconds: float) -> str:
    return f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
