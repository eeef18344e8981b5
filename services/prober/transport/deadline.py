"""Ends a probe at its deadline, wherever it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic
from types import TracebackType

from services.prober.observation import Failure
from services.prober.transport.trace import ProbeFailedError, ProbeTrace


class Deadline:
    """Async context manager that raises TimeoutError at ``moment`` (monotonic seconds), wherever its body waits.

    It does what asyncio.timeout does, at a third of the cost, for code that every probe runs. A cancellation from
    outside passes through unchanged, even if it comes together with the deadline.
    """

    __slots__ = ("_expired", "_handle", "_moment", "_task")

    def __init__(self, moment: float) -> None:
        self._moment = moment
        self._expired = False

    async def __aenter__(self) -> None:
        """Set the timer, in the task that waits."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._handle = asyncio.get_running_loop().call_later(max(0.0, self._moment - monotonic()), self._expire)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the timer, or turn its cancellation of the task into TimeoutError."""
        self._handle.cancel()
        # As asyncio.timeout does: a task that was cancelled from outside as well stays cancelled.
        if self._expired and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


async def run_until_deadline(trace: ProbeTrace, exchange: Awaitable[object]) -> Failure | None:
    """Wait for an exchange, until the trace's deadline at most. Return its failure, None if it was successful."""
    try:
        async with Deadline(trace.deadline):
            await exchange
    except TimeoutError:
        return trace.timeout()
    except ProbeFailedError as failed:
        return failed.failure
    return None
