"""Tasks that swallow a cancellation, and threads, which cannot be cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Event, current_thread

import pytest

from services.core.tasks import (
    SharedResult,
    cancel_and_wait,
    propagate_cancellation,
    run_in_daemon_thread,
    run_in_thread,
)
from tests.support.waiting import HeldCalls, eventually


async def test_a_task_that_swallows_cancellations_is_cancelled_until_it_ends() -> None:
    """A task that ends by itself, and one that swallows two cancellations, are both done afterwards."""
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(3600)

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    await cancel_and_wait(*tasks)
    assert swallowed == 2
    assert tasks[0].cancelled()
    assert tasks[1].done()


async def test_tasks_are_waited_for_however_often_the_caller_is_cancelled() -> None:
    """A caller that is cancelled while it waits for cancelled tasks ends only when they have ended."""
    begun, released = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            begun.set()
            while not released.is_set():
                with suppress(asyncio.CancelledError):
                    await released.wait()
            raise

    task = asyncio.create_task(slow())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(cancel_and_wait(task))
    await begun.wait()
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    ended = waiting.done()
    released.set()
    await asyncio.wait({waiting})
    assert (ended, task.done(), waiting.cancelled()) == (False, True, True)


async def test_a_swallowed_cancellation_is_raised_after_all() -> None:
    """A cancellation is raised even if the code within suppressed it."""

    async def body() -> None:
        with propagate_cancellation(), suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_thread_is_waited_for() -> None:
    """A cancelled caller ends only when its thread has ended, also when it is cancelled again meanwhile."""
    started, released = Event(), Event()

    def work() -> None:
        started.set()
        released.wait()

    task = asyncio.create_task(run_in_thread(work))
    await asyncio.to_thread(started.wait)
    ended = []
    for _ in range(3):
        task.cancel()
        for _ in range(5):  # turns of the loop, in which it would end
            await asyncio.sleep(0)
        ended.append(task.done())
    released.set()
    assert ended == [False, False, False]
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await run_in_thread(lambda: 7) == 7


async def test_a_thread_is_waited_for_at_the_end_of_the_loop() -> None:
    """A caller ends only when its thread has ended, even if all tasks are cancelled, as at the end of asyncio.run."""
    started, released = Event(), Event()

    def work() -> None:
        started.set()
        released.wait()

    task = asyncio.create_task(run_in_thread(work))
    await asyncio.to_thread(started.wait)
    for one in asyncio.all_tasks() - {asyncio.current_task()}:
        one.cancel()
    for _ in range(5):  # turns of the loop, in which it would end
        await asyncio.sleep(0)
    ended = task.done()
    released.set()
    assert not ended
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_a_thread_fails_with_outlives_a_cancellation() -> None:
    """A cancelled caller raises the error of its thread, because nobody else would see it."""
    started, released = Event(), Event()

    def work() -> None:
        started.set()
        released.wait()
        raise ValueError("the disk is full")

    task = asyncio.create_task(run_in_thread(work))
    await asyncio.to_thread(started.wait)
    task.cancel()
    await asyncio.sleep(0)
    released.set()
    with pytest.raises(ValueError, match="the disk is full"):
        await task


async def test_nobody_waits_for_a_daemon_thread() -> None:
    """Its result or error is the caller's. A caller that is cancelled does not wait, and nor does the end of the process."""
    assert (await run_in_daemon_thread(current_thread)).daemon
    with pytest.raises(ZeroDivisionError):
        await run_in_daemon_thread(lambda: 1 / 0)
    with HeldCalls(lambda: 7) as held:
        task = asyncio.create_task(run_in_daemon_thread(held))
        await eventually(lambda: held.made, "the call is made")
        task.cancel()
        await asyncio.wait({task})
        assert (task.cancelled(), held.released.is_set()) == (True, False)


async def test_a_result_is_made_once_for_each_source() -> None:
    """All who wait for a source get the result of one call, although the first of them is cancelled."""
    shared = SharedResult[int]()
    sources = [object(), object()]
    with HeldCalls(lambda: 7) as held:
        first, *others = [asyncio.create_task(shared.get(sources[0], held)) for _ in range(3)]
        await eventually(lambda: held.made, "the call is made")
        first.cancel()
        await asyncio.wait({first})
    assert (first.cancelled(), await asyncio.gather(*others), held.made) == (True, [7, 7], 1)
    assert (await shared.get(sources[0], held), held.made) == (7, 1)
    assert (await shared.get(sources[1], held), held.made) == (7, 2)


async def test_a_failure_is_not_shared_with_later_callers() -> None:
    """Who waits for a call that fails gets its error, and the next caller makes a call of its own."""
    shared, source = SharedResult[float](), object()
    with pytest.raises(ZeroDivisionError):
        await shared.get(source, lambda: 1 / 0)
    assert await shared.get(source, lambda: 1 / 2) == 0.5
