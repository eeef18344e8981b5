"""Cancellation that a library swallowed, raised after all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["propagate_cancellation"]


@contextmanager
def propagate_cancellation() -> Iterator[None]:
    """Raise CancelledError when the task was cancelled within, even where the library beneath took no notice.

    On Python 3.11 asyncio.wait_for, on which nats-py builds, returns its result when that comes in the same turn of the
    loop as a cancellation, and nats-py's flush ignores cancellations altogether. A task group cancels its tasks only
    once, so a loop that was to end would then go on for ever, and whoever ends the group wait for it as long.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        yield
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError
