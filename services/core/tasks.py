"""Ends asyncio tasks whose cancellation a library may swallow, waits for threads, and cuts long work into slices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_REPEAT_SECONDS = 0.1
_SLICE_SECONDS = 0.02


@contextmanager
def propagate_cancellation() -> Iterator[None]:
    """Raise CancelledError on leaving the context when the task was cancelled in it, even if a library swallowed that.

    On Python 3.11 asyncio.wait_for, which nats-py uses, returns its result when that arrives in the same iteration of the
    event loop as a cancellation, and nats-py's flush ignores cancellations. A task group cancels each of its tasks only
    once, so neither a loop in such a task nor the group would ever end.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        yield
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, repeatedly while any still runs, until all are done. Results and errors stay with the tasks.

    When cancelled, wait for them before raising CancelledError.
    """
    given_up: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=_REPEAT_SECONDS)
        except asyncio.CancelledError as error:
            given_up = error
    if given_up is not None:
        raise given_up


async def run_in_thread(call: Callable[[], T], *, executor: Executor | None = None) -> T:
    """Return the result of a call made in a thread. When cancelled, wait for the thread before raising CancelledError.

    If the call fails meanwhile, its error is raised instead, because nobody else would see it.
    """
    # Unlike a task, this future is not cancelled when the loop ends and cancels all its tasks.
    work = asyncio.get_running_loop().run_in_executor(executor, copy_context().run, call)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):  # the waiting task may be cancelled repeatedly
                await asyncio.wait({work})
        if (error := work.exception()) is not None:
            raise error from None
        raise


async def run_in_daemon_thread(call: Callable[[], T]) -> T:
    """Return the result of a call made in a thread of its own, for which neither a cancelled caller nor the process waits."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(set_result: Callable[[], None]) -> None:
        if not result.done():
            set_result()

    def run() -> None:
        try:
            set_result = partial(result.set_result, call())
        except Exception as error:  # noqa: BLE001  # it is raised where the result is awaited
            set_result = partial(result.set_exception, error)
        with suppress(RuntimeError):  # the event loop has ended
            loop.call_soon_threadsafe(settle, set_result)

    Thread(target=run, daemon=True).start()
    return await result


class Slices:
    """Slices of long work in the event loop. Call ``pause`` after each piece of it: it lets other tasks run after a slice."""

    def __init__(self) -> None:
        self._end = time.monotonic() + _SLICE_SECONDS

    async def pause(self) -> None:
        """Let other tasks run, if the slice is over, and begin the next one."""
        if time.monotonic() >= self._end:
            await asyncio.sleep(0)
            self._end = time.monotonic() + _SLICE_SECONDS


class SharedResult(Generic[T]):
    """The result of a call that is made in a thread, once for each source, for all who wait for it.

    The call is made to the end, and its result is kept, although all of them are cancelled. A failure is not kept.
    """

    def __init__(self) -> None:
        self._source: object = None
        self._result: asyncio.Future[T] | None = None

    async def get(self, source: object, call: Callable[[], T]) -> T:
        """Return the result for this source. ``call`` makes it if it is not there or under way."""
        result = self._result
        if result is None or self._source is not source or (result.done() and result.exception() is not None):
            result = asyncio.ensure_future(asyncio.to_thread(call))
            self._source, self._result = source, result
        return await asyncio.shield(result)
