"""Saves new evidence to disk, at intervals and at the end of a session."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from services.core.tasks import run_in_thread
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.index import Scoring
from services.scorer.state import Store

SAVE_SECONDS = 5.0
SAVE_SHARE = 0.05
"""The maximum share of the time spent on saving, so that large states are saved less often."""


class StateSaver:
    """Saves the state of a session, until a save fails.

    After that nothing is saved: no later save holds what the failed one held, so its manifest would list messages that
    are not on disk.
    """

    def __init__(self, scoring: Scoring, store: Store, evidence_lock: EvidenceLock) -> None:
        self._scoring = scoring
        self._store = store
        self._evidence_lock = evidence_lock
        self._failed = False

    async def run(self) -> None:
        """Save at intervals until cancelled. Raises StateError."""
        while True:
            started = time.monotonic()
            await self.save()
            await asyncio.sleep(max(SAVE_SECONDS, (time.monotonic() - started) / SAVE_SHARE))

    async def save(self) -> None:
        """Save what is new, unless a save has failed. After a StateError a new process must continue from the disk."""
        if self._failed:
            return
        async with self._evidence_lock.lock:
            update = self._scoring.save()
        if update is None:
            return
        try:
            await run_in_thread(partial(self._store.save, update))
        except Exception:
            self._failed = True
            raise
        await self._evidence_lock.run(partial(self._store.release, self._scoring.evidence))
