"""The deadline of a probe behaves like asyncio.timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from time import monotonic

import pytest

from services.prober.transport.deadline import Deadline

Maker = Callable[[float], AbstractAsyncContextManager[object]]
MAKERS: list[Maker] = [lambda seconds: Deadline(monotonic() + seconds), asyncio.timeout]


@pytest.mark.parametrize("within", MAKERS)
async def test_what_waits_too_long_times_out(within: Maker) -> None:
    """After the deadline TimeoutError is raised, and the task is not left cancelled."""
    with pytest.raises(TimeoutError):
        async with within(0.01):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("within", MAKERS)
async def test_a_deadline_that_has_passed_already_still_ends_the_wait(within: Maker) -> None:
    """A deadline in the past interrupts the first wait."""
    with pytest.raises(TimeoutError):
        async with within(-1.0):
            await asyncio.Event().wait()


@pytest.mark.parametrize("within", MAKERS)
async def test_what_ends_in_time_is_left_alone(within: Maker) -> None:
    """Nothing is raised after a body that ended in time, and the body's own errors are raised unchanged."""
    async with within(0.01):
        pass
    with pytest.raises(ValueError, match="own"):
        async with within(60.0):
            raise ValueError("own")
    fired = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, fired.set)
    await fired.wait()


@pytest.mark.parametrize("within", MAKERS)
async def test_a_cancellation_from_outside_stays_one(within: Maker) -> None:
    """A cancellation from outside cancels the probe, even at the very moment of its deadline."""
    inside = asyncio.Event()

    async def body(seconds: float) -> None:
        async with within(seconds):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(body(60.0))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    inside.clear()
    both = asyncio.create_task(body(0.0))
    await inside.wait()
    asyncio.get_running_loop().call_soon(both.cancel)
    with pytest.raises((asyncio.CancelledError, TimeoutError)):
        await both


@pytest.mark.parametrize("within", MAKERS)
async def test_deadlines_nest(within: Maker) -> None:
    """The outer deadline ends a longer inner one, and an inner one leaves the outer in force."""

    async def short() -> None:
        async with within(0.005):
            await asyncio.Event().wait()

    async def outer() -> None:
        async with within(0.3):
            with pytest.raises(TimeoutError):
                await short()
            async with within(60.0):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await outer()
