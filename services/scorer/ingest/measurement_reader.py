"""Reads MEASUREMENTS into the evidence for as long as a session runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from services.core.bus import Bus, StoredMessage, StreamCursor, columns_of
from services.core.errors import BusError, GapError
from services.core.log import Logger
from services.core.model import MeasurementColumns, RegisterVersions
from services.register.bus import read_publications
from services.scorer.evidence_lock import SLICE_SECONDS, EvidenceLock
from services.scorer.health import ReadinessReporter
from services.scorer.index import Scoring
from services.scorer.ingest.batch_watch import BatchWatch
from services.scorer.metrics import ScorerMetrics

READ_MESSAGES = 500
READ_BYTES = 4 << 20
POLL_SECONDS = 0.2
# A subscription as a signal to read would cost more than polling: every batch would be received and parsed twice.
READ_POLL_SECONDS = 0.5

ADOPTION_SECONDS = 600.0
"""How long measurements wait for the register published last.

Compiling a register of a million links takes a minute. A register that cannot be read is never adopted.
"""


class MeasurementReader:
    """Ingests MEASUREMENTS. ``caught_up`` is set once all messages that existed at startup are ingested."""

    def __init__(
        self,
        scoring: Scoring,
        evidence_lock: EvidenceLock,
        *,
        metrics: ScorerMetrics,
        readiness: ReadinessReporter,
        log: Logger,
    ) -> None:
        self.caught_up = asyncio.Event()
        self._scoring = scoring
        self._evidence_lock = evidence_lock
        self._metrics = metrics
        self._readiness = readiness
        self._log = log
        self._awaited, self._awaited_since = RegisterVersions(), 0.0
        self._batches = BatchWatch()

    async def run(self, cursor: StreamCursor, backlog_end: int) -> None:
        """Read until cancelled; ``backlog_end`` is the last message at startup. Raises GapError."""
        while True:
            try:
                messages = await cursor.read(self._scoring.manifest.position, limit=READ_MESSAGES, now=time.monotonic())
                all_taken = await self._take_all(messages, cursor.bus)
            except GapError:
                raise
            except BusError as error:
                self._readiness.set_reading(ok=False)
                self._log.warning("bus_read_failed", reason=str(error))
                await asyncio.sleep(POLL_SECONDS)
                continue
            left = backlog_end - self._scoring.manifest.position.sequence
            if left > 0:
                self._readiness.begin_phase(f"reading what was measured, {left} messages left")
            elif not self.caught_up.is_set():
                self._log.info("caught_up", sequence=self._scoring.manifest.position.sequence)
                self.caught_up.set()
            self._readiness.set_reading(ok=True)
            full = len(messages) >= READ_MESSAGES or sum(len(message.data) for message in messages) >= READ_BYTES
            await asyncio.sleep(0 if full and all_taken else READ_POLL_SECONDS)

    async def _take_all(self, messages: Sequence[StoredMessage], bus: Bus) -> bool:
        """Ingest messages; return False at one that waits for its register and must be read again. Raises BusError."""
        published: Sequence[RegisterVersions] | None = None
        async with self._evidence_lock.lock:
            until = time.monotonic() + SLICE_SECONDS
            for message in messages:
                columns = self._read(message)
                if columns is not None and self._scoring.awaits(columns):
                    if published is None:
                        published = [one.versions for one in await read_publications(bus)]
                    if self._must_wait(columns.register, published):
                        return False
                if columns is not None:
                    self._take(message, columns)
                    self._batches.take(message.data, message.time)
                if time.monotonic() >= until:
                    await asyncio.sleep(0)
                    until = time.monotonic() + SLICE_SECONDS
        if self._scoring.stale:
            self._evidence_lock.changed.set()
        if messages:
            self._metrics.bus.batches(self._batches.missing(), self._batches.broken)
        return True

    def _must_wait(self, register: RegisterVersions, published: Sequence[RegisterVersions]) -> bool:
        """Return whether a batch of a published register must wait until the newest of them is adopted.

        Probers may adopt a register before the scorer does. Its targets have no columns until then. The scorer adopts
        registers in turn, so it has adopted all of them, as far as they could be read, once it has the newest.
        """
        if register not in published or self._scoring.register.versions == published[0]:
            return False
        if published[0] != self._awaited:
            self._awaited, self._awaited_since = published[0], time.monotonic()
            self._log.info("register_awaited", register_version=published[0].register_version)
        return time.monotonic() - self._awaited_since < ADOPTION_SECONDS

    def _read(self, message: StoredMessage) -> MeasurementColumns | None:
        try:
            return columns_of(message)
        except ValueError as error:
            self._scoring.skip(message.sequence, message.time)
            self._metrics.rejected()
            self._log.error("batch_rejected", sequence=message.sequence, subject=message.subject, reason=str(error))
            return None

    def _take(self, message: StoredMessage, columns: MeasurementColumns) -> None:
        result = self._scoring.take(columns, stored=message.time, sequence=message.sequence)
        self._metrics.taken(columns.vantage, result)
        left_out = {fault: rows for fault, rows in {"late": result.late, **result.refused}.items() if rows}
        if left_out:
            self._log.warning("measurements_left_out", sequence=message.sequence, vantage=columns.vantage, **left_out)
