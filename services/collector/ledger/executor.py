"""Runs the collector's disk work in a thread, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from services.collector.ledger.ledger import PAIRING_SPAN_MS, Ledger
from services.core.errors import StateError

P = ParamSpec("P")
T = TypeVar("T")


class LedgerExecutor:
    """An executor of one thread, which alone uses the ledger and reads the sources."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``work`` in the thread, after all calls submitted earlier, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    @asynccontextmanager
    async def ledger(
        self, path: Path, slot_seconds: int, now_ms: int, span_ms: int = PAIRING_SPAN_MS
    ) -> AsyncIterator[Ledger]:
        """Open the ledger; close it after all calls submitted by the end of the context. Raises StateError."""
        try:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StateError(f"the collector's state {path} cannot be opened: {error.strerror}") from error
            ledger = await self.run(Ledger, path, slot_seconds, now_ms=now_ms, span_ms=span_ms)
            try:
                yield ledger
            finally:
                self._executor.submit(ledger.close)
        finally:
            self._executor.shutdown(wait=True)
