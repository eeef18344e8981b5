"""The deadline of a probe: what asyncio.timeout does, at a third of its cost, for code that every probe runs through."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType

__all__ = ["Deadline"]


class Deadline:
    """Async context manager that raises TimeoutError at ``moment`` (monotonic seconds) wherever its body waits.

    A cancellation from outside passes through it as it is, also when it comes together with the deadline.
    """

    __slots__ = ("_handle", "_moment", "_passed", "_task")

    def __init__(self, moment: float) -> None:
        self._moment = moment
        self._passed = False

    async def __aenter__(self) -> None:
        """Set the alarm, in the task that waits."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._handle = asyncio.get_running_loop().call_later(max(0.0, self._moment - monotonic()), self._pass)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Turn off the alarm, or turn the cancellation it sent into TimeoutError."""
        self._handle.cancel()
        # As asyncio.timeout: what is cancelled more often than by us stays cancelled.
        if self._passed and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _pass(self) -> None:
        self._passed = True
        self._task.cancel()
