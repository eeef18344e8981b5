"""The lock on the evidence has one holder at a time, until the holder's thread has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Event, get_ident

import pytest

from services.scorer import evidence_lock as module
from services.scorer.evidence_lock import EvidenceLock
from tests.support.waiting import DEADLINE


async def test_others_get_the_lock_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """While pieces of work run, a waiter gets the lock before all are done."""
    monkeypatch.setattr(module, "SLICE_SECONDS", 0.0)
    evidence_lock, said = EvidenceLock(), list[str]()

    def pieces() -> Iterator[None]:
        for number in range(100):
            said.append(f"piece {number}")
            yield

    async def other() -> None:
        async with evidence_lock.lock:
            said.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(evidence_lock.run_in_slices(pieces()))
        await asyncio.sleep(0)
        group.create_task(other())
    assert [one for one in said if one != "other"] == [f"piece {number}" for number in range(100)]
    assert 0 < said.index("other") < 100


async def test_a_call_runs_in_a_thread_and_its_error_is_raised() -> None:
    """A call runs in another thread. Its result is returned or its error raised, and the lock is released."""
    evidence_lock = EvidenceLock()
    assert await evidence_lock.run(get_ident) != get_ident()

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await evidence_lock.run(fails)
    assert not evidence_lock.lock.locked()


async def test_a_cancelled_holder_keeps_the_lock_until_its_thread_ends() -> None:
    """A cancelled holder keeps the lock until its thread has ended, because a thread cannot be stopped."""
    evidence_lock, begun, go_on = EvidenceLock(), Event(), Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(60)

    working = asyncio.create_task(evidence_lock.run(work))
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.to_thread(begun.wait, 60)
        working.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert evidence_lock.lock.locked()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert not evidence_lock.lock.locked()
