"""Spools measurements, publishes them to the bus, and handles the acknowledgements."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from time import monotonic, perf_counter
from typing import Protocol

from services.core.bus import measurement_subject, shard_of
from services.core.codec import ChainPlace, encode_measurements
from services.core.errors import BusError, NotLastError
from services.core.files import DAMAGED
from services.core.log import Logger
from services.core.model import Measurement
from services.prober.metrics import ProberMetrics
from services.prober.publishing.spool import Spool, SpoolBatch, SpooledMessage

_RETRY_SECONDS = 0.2
# In less time, others cannot fill a new stream with as many messages as the former one had.
_LOOK_AFTER_SECONDS = 10.0
# A message may hold 1 MiB; a row takes at most 150 bytes and its detail.
_ROWS_PER_MESSAGE = 2500


class MeasurementSink(Protocol):
    """The operations that a bus must offer for measurements."""

    @property
    def connected(self) -> bool:
        """Whether the bus is connected at this moment."""
        ...

    async def publish(self, subject: str, payload: bytes, *, message_id: str, follows: int | None = None) -> int:
        """Store a message and return its sequence. Raises BusError when that is not acknowledged.

        Raises NotLastError unless ``follows``, if given, is the sequence of the last message on the subject.
        """
        ...


def encode_messages(rows: Iterable[Measurement], place: ChainPlace) -> tuple[list[SpooledMessage], ChainPlace]:
    """Encode the measurements of one prober into messages, by register version.

    ``place`` is that of the first message in the chain of the prober's batches. Return the messages and the place after
    the last.
    """
    groups: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for row in rows:
        groups[row.register_version, row.probe_version].append(row)
    messages = []
    for group in groups.values():
        subject = measurement_subject(group[0].vantage, shard_of(group[0].prober))
        parts = (group[first : first + _ROWS_PER_MESSAGE] for first in range(0, len(group), _ROWS_PER_MESSAGE))
        for part in parts:
            payload = encode_measurements(part, place)
            messages.append(SpooledMessage.of(subject, payload))
            place = place.next(payload)
    return messages, place


class MeasurementPublisher:
    """Publishes through a spool: a flushed batch is on disk before it is sent, and until it is acknowledged.

    ``run`` is 16 random bytes for this run of the process. Its batches are numbered and chained by hash. Batches that
    an earlier run left in the spool keep their places in the chain of that run.
    """

    def __init__(self, spool: Spool, sink: MeasurementSink, metrics: ProberMetrics, log: Logger, *, run: bytes) -> None:
        self._spool = spool
        self._sink = sink
        self._metrics = metrics
        self._log = log
        self._place = ChainPlace(run, 1)
        self._rows: list[Measurement] = []
        self._flushed = asyncio.Event()
        self._reported_drops = 0
        self._highest = spool.kept.sequence
        self._failed: SpoolBatch | None = None
        self._acknowledged_at = -inf
        self._again: tuple[int, int] | None = None

    def add(self, row: Measurement) -> None:
        """Add a measurement; the next flush spools it."""
        self._rows.append(row)

    async def flush(self) -> None:
        """Put all added measurements on disk, to be sent."""
        if self._rows:
            rows, self._rows = self._rows, []
            messages, self._place = encode_messages(rows, self._place)
            batch = await self._spool.add(messages, len(rows))
            if batch.path is None:
                pending = len(self._spool.pending)
                self._log.error("spool_write_failed", reason=batch.refusal, rows=batch.rows, pending=pending)
            self._flushed.set()
        self._report()

    async def send(self) -> None:
        """Send batches, oldest first, until cancelled."""
        self._report()
        while True:
            await self._send_pending()
            if not await self._send_again():
                self._flushed.clear()
                await self._flushed.wait()

    def publish_again(self, sequence: int = 0) -> None:
        """Have batches sent again that the bus acknowledged with ``sequence`` or later, as far as they are kept."""
        if self._again is not None:
            sequence = min(sequence, self._again[0])
        self._again = sequence, self._spool.next
        self._flushed.set()

    async def drain(self, seconds: float) -> None:
        """Flush, and wait up to ``seconds`` for acknowledgements. Unacknowledged batches stay in the spool."""
        await self.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._send_pending()
        await self._spool.keep()
        self._report()

    async def _send_again(self) -> bool:
        """Make one file of kept batches pending, if any has to be sent again. Return whether there may be more."""
        asked = self._again
        if asked is None:
            return False
        try:
            if await self._spool.again(*asked):
                self._metrics.sent_again.inc()
                return True
        except OSError as error:
            self._log.warning("spool_read_failed", reason=error.strerror, pending=len(self._spool.pending))
            await asyncio.sleep(_RETRY_SECONDS)
            return True
        if self._again is asked:
            self._again = None
            self._log.info("published_again")
        return self._again is not None

    async def _send_pending(self) -> None:
        while self._spool.pending:
            if not await self._send(self._spool.pending[0]):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _send(self, batch: SpoolBatch) -> bool:
        """Send one batch. Return whether the bus took all of it. A message that is sent again has the same id."""
        if not self._sink.connected:
            return False
        try:
            messages = await self._spool.read(batch)
        except OSError as error:
            self._log.warning("spool_read_failed", reason=error.strerror, pending=len(self._spool.pending))
            return False
        began = perf_counter()
        try:
            await self._look_for_loss(messages)
        except BusError as error:
            return self._refused(batch, error)
        results = await asyncio.gather(
            *(
                self._sink.publish(message.subject, message.payload, message_id=message.message_id)
                for message in messages
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BusError):
                return self._refused(batch, result)
            if isinstance(result, BaseException):
                raise result
        self._metrics.publish_seconds.observe(perf_counter() - began)
        await self._acknowledge(batch, [result for result in results if not isinstance(result, BaseException)])
        self._report()
        return True

    def _refused(self, batch: SpoolBatch, error: BusError) -> bool:
        self._failed = batch
        self._log.warning("publish_failed", reason=str(error), pending=len(self._spool.pending))
        return False

    async def _look_for_loss(self, messages: Sequence[SpooledMessage]) -> None:
        """Find out whether the bus still has the last message of this prober, unless it just acknowledged one.

        While the prober was away, others may have filled a recreated stream beyond that message, so that its next
        sequence shows nothing. A prober may read nothing of the bus. So it publishes its next message on the condition
        that its last one is the last on the subject, which other probers of the vantage may share. Raises BusError.
        """
        kept = self._spool.keeps and self._highest
        if not messages or not kept or monotonic() - self._acknowledged_at < _LOOK_AFTER_SECONDS:
            return
        first = messages[0]
        try:
            await self._sink.publish(first.subject, first.payload, message_id=first.message_id, follows=self._highest)
        except NotLastError as error:
            if error.last is not None and error.last < self._highest:
                self._lost(error.last, 0)
        self._acknowledged_at = monotonic()

    def _lost(self, found: int, since: int) -> None:
        """Have the batches sent again that got the sequence ``since`` or a later one."""
        self._log.error("stream_lost_messages", sequence=found, acknowledged=self._highest)
        self._highest = 0
        self.publish_again(since)

    async def _acknowledge(self, batch: SpoolBatch, sequences: list[int]) -> None:
        """Keep a batch that the bus has. If the bus gives out a sequence twice, have kept batches sent again.

        The sequence of a batch that may have been stored before says nothing, because it is the one that it got then.
        """
        lowest, highest = min(sequences, default=0), max(sequences, default=0)
        if sequences and not batch.again and batch is not self._failed and lowest <= self._highest:
            self._lost(lowest, lowest)
        self._highest = max(self._highest, highest)
        self._acknowledged_at = monotonic()
        await self._spool.acknowledged(batch, highest)

    def _report(self) -> None:
        spool = self._spool
        self._metrics.spool_batches.set(len(spool.pending))
        self._metrics.spool_bytes.set(spool.size)
        if spool.dropped > self._reported_drops:
            self._metrics.dropped_batches.inc(spool.dropped - self._reported_drops)
            self._log.error("spool_full", dropped=spool.dropped, measurements=spool.dropped_rows)
            self._reported_drops = spool.dropped
        self._metrics.spool_kept.set(spool.kept.size)
        self._metrics.spool_damaged.set(spool.damaged)
        for path in spool.newly_damaged:
            self._log.warning("spool_file_damaged", file=str(path), kept_as=path.name + DAMAGED)
        spool.newly_damaged.clear()
