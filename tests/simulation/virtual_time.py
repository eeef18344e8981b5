"""An event loop on virtual time: nothing waits, and calls in threads run in the loop instead."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class StuckError(Exception):
    """Nothing is due any more, so the loop would wait forever."""


class _Selector(selectors.DefaultSelector):
    """Advances the clock instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next event. ``pause`` returns how long a call in a thread takes, in seconds.

    Such a call takes effect at once and returns its result later, so that other tasks run in between, always in the
    same order.
    """

    def __init__(self, start: float, pause: Callable[[], float]) -> None:
        self._virtual = _Selector()
        self._virtual.now = start
        self._pause = pause
        super().__init__(self._virtual)
        self._clock_resolution = 1e-5  # seconds since 1970 as a double have no more digits

    def time(self) -> float:
        """Seconds of the virtual clock, since 1970."""
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ARG002  # a coroutine in typeshed; there is no executor
        """Call at once. The result comes later."""
        future: asyncio.Future[T] = self.create_future()
        try:
            result = func(*args)
        except BaseException as error:  # noqa: BLE001  # as an executor does
            self.call_later(self._pause(), _unless_done, future, future.set_exception, error)
        else:
            self.call_later(self._pause(), _unless_done, future, future.set_result, result)
        return future

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Make this clock the clock of the process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", self.time)
            patch.setattr(time, "monotonic", self.time)
            patch.setattr(time, "sleep", lambda _: None)
            yield


def _unless_done(future: asyncio.Future[T], call: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        call(value)
