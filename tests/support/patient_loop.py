"""An event loop whose clock stands still while the machine keeps it from running.

Deadlines and schedules of code that runs only in this loop are then the same on a busy machine as on an idle one. The
clock counts the time that the loop waited as planned, and the CPU time of its thread. It does not count the time in
which the operating system let other processes run first. Where nothing outside the loop is waited for, a test may let it
count each second that it waits several times.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

__all__ = ["PatientLoop", "loop_clock", "monotonic", "quick_waits", "stand_still", "takes", "wall_time"]

T = TypeVar("T")


class _Clock:
    """Seconds that the loop's thread waited or computed."""

    def __init__(self) -> None:
        self.waited = time.monotonic()
        self.pace = 1.0
        self._cpu = time.pthread_getcpuclockid(threading.get_ident())
        self.wall_ahead = time.time() - self.now()

    def now(self) -> float:
        return self.waited + time.clock_gettime(self._cpu)


_clock = _Clock()


class _Selector(selectors.DefaultSelector):
    """Adds to the clock no more than the requested timeout of each wait."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0 or (ready := super().select(0)):
            return super().select(0) if timeout == 0 else ready
        began = time.monotonic()
        ready = super().select(None if timeout is None else timeout / _clock.pace)
        took = (time.monotonic() - began) * _clock.pace
        _clock.waited += took if timeout is None else min(took, timeout)
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """A selector event loop on this clock. All such loops run in the main thread and share it."""

    def __init__(self) -> None:
        super().__init__(_Selector())
        _clock.wall_ahead = time.time() - _clock.now()

    def time(self) -> float:
        """Seconds of the loop's own clock."""
        return _clock.now()


def monotonic() -> float:
    """time.monotonic by the clock of patient loops."""
    return _clock.now()


def stand_still(seconds: float) -> None:
    """Let this much time of the clock pass at once, as if the loop's thread computed."""
    _clock.waited += seconds


def wall_time() -> float:
    """time.time by the clock of patient loops, which is set to the machine's time when a loop is made."""
    return _clock.now() + _clock.wall_ahead


@contextmanager
def quick_waits(times: float) -> Iterator[None]:
    """Let the loop wait this many times shorter than by its clock. Its wall clock runs ahead of the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_clock, "pace", times)
        yield


@contextmanager
def loop_clock(package: str) -> Iterator[None]:
    """Make every loaded module of a package use this clock instead of time.monotonic and time.time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name == package or name.startswith(f"{package}."):
                contents: dict[str, Any] = vars(module)
                for own, function in ((monotonic, time.monotonic), (wall_time, time.time)):
                    if contents.get(function.__name__) is function:
                        patch.setattr(module, function.__name__, own)
        yield


async def takes(seconds: float, work: Awaitable[T]) -> T:
    """Await ``work`` and assert that it takes this many seconds of the loop's clock, within a few hundredths."""
    began = monotonic()
    done = await work
    took = monotonic() - began
    assert seconds - 0.01 <= took <= seconds + 0.05, f"took {took:.3f} s, not {seconds} s"
    return done
