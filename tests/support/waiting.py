"""Wait until conditions of a test hold, however slow the machine is, and have calls wait for a test."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any, Self, TypeVar, overload

from services.core.errors import BusError

__all__ = ["DEADLINE", "EAGER", "HeldCalls", "answered", "eventually", "until"]

DEADLINE = 120.0
"""Seconds after which a wait fails. Only a failing test waits so long."""

EAGER = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100))
"""Options of a gRPC channel to a server that is about to listen. By default gRPC waits a second after a refusal, then longer."""

_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_PAUSES_A_LOOK = 4
"""A pause is this many times as long as the look before it, so that others have most of the machine."""
T = TypeVar("T")
What = str | Callable[[], str]


@overload
async def eventually(look: Callable[[], Awaitable[T | None]], what: What, seconds: float = DEADLINE) -> T: ...
@overload
async def eventually(look: Callable[[], T | None], what: What, seconds: float = DEADLINE) -> T: ...
async def eventually(look: Callable[[], Any], what: What, seconds: float = DEADLINE) -> Any:
    """Return the value of ``look`` once it is true. ``what`` describes what was waited for."""
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
    """Return the bus's answer to a request, which is repeated while no server can answer it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await request()
            except BusError:
                await asyncio.sleep(_PAUSE)


def until(look: Callable[[], T | None], what: What, seconds: float = DEADLINE) -> T:
    """Return the value of ``look`` once it is true, in code that is not a coroutine."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if found := look():
            return found
        now = time.monotonic()
        assert now < end, _late(what, seconds)
        time.sleep(_pause(now - began))


def _pause(looked: float) -> float:
    """Return the seconds to pause after a look that took ``looked`` seconds."""
    return min(max(_PAUSE, _PAUSES_A_LOOK * looked), _LONGEST_PAUSE)


def _late(what: What, seconds: float) -> str:
    return f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"


class HeldCalls:
    """Calls ``function`` once ``released``, at the latest when the context ends. ``made`` counts calls that have begun."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.released = Event()
        self.made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()

    def __call__(self, *arguments: Any) -> Any:
        self.made += 1
        self.released.wait()
        return self._function(*arguments)

    async def cancel(self, task: asyncio.Future[Any]) -> None:
        """Cancel a task while a call of it is under way, release the call, and wait until the task has ended."""
        await eventually(lambda: self.made, "a call is under way")
        task.cancel()
        await asyncio.sleep(0)
        self.released.set()
        await eventually(task.done, "the task has ended")
