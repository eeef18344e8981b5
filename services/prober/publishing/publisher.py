"""Measurements on their way to the bus: gathered, spooled, published, acknowledged."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from time import perf_counter
from typing import Protocol

from services.core.bus import measurement_subject, shard_of
from services.core.codec import encode_measurements
from services.core.errors import BusError
from services.core.log import Logger
from services.core.model import Measurement
from services.prober.metrics import ProberMetrics
from services.prober.publishing.spool import Spool, SpoolBatch, SpooledMessage

__all__ = ["MeasurementPublisher", "MeasurementSink", "records_of"]

_RETRY_SECONDS = 0.2
# A message may hold 1 MiB; a row takes at most 150 bytes and its detail.
_ROWS = 2500


class MeasurementSink(Protocol):
    """What a bus must do for measurements."""

    @property
    def connected(self) -> bool:
        """Whether it answers at this moment."""
        ...

    async def publish(self, subject: str, payload: bytes, *, message_id: str, timeout: float = 5.0) -> int:
        """Store a message and return its sequence. Raises BusError when that is not acknowledged."""
        ...


def records_of(rows: Iterable[tuple[str, Measurement]]) -> list[SpooledMessage]:
    """Encode measurements, each with its consumer agency, into one message per shard and register version."""
    groups: dict[tuple[str, int, str, str], list[Measurement]] = defaultdict(list)
    for consumer, row in rows:
        groups[row.vantage, shard_of(consumer), row.register_version, row.probe_version].append(row)
    records = []
    for (vantage, shard, _, _), group in groups.items():
        subject = measurement_subject(vantage, shard)
        parts = (group[at : at + _ROWS] for at in range(0, len(group), _ROWS))
        records += [SpooledMessage.of(subject, encode_measurements(part)) for part in parts]
    return records


class MeasurementPublisher:
    """Publishes through a spool: what was flushed is on disk before it is sent, and until it is acknowledged."""

    def __init__(self, spool: Spool, sink: MeasurementSink, metrics: ProberMetrics, log: Logger) -> None:
        self._spool = spool
        self._sink = sink
        self._metrics = metrics
        self._log = log
        self._rows: list[tuple[str, Measurement]] = []
        self._news = asyncio.Event()
        self._seen_dropped = 0

    def add(self, consumer: str, row: Measurement) -> None:
        """Take a measurement of a target whose consumer agency is given."""
        self._rows.append((consumer, row))

    async def flush(self) -> None:
        """Put everything taken so far on disk and have it sent."""
        if self._rows:
            rows, self._rows = self._rows, []
            batch = await self._spool.add(records_of(rows), len(rows))
            if batch.path is None:
                self._log.error("spool_write_failed", rows=batch.rows, pending=len(self._spool.pending))
            self._news.set()
        self._report()

    async def send(self) -> None:
        """Send batches, oldest first, for ever."""
        while True:
            while self._spool.pending:
                if not await self._send(self._spool.pending[0]):
                    await asyncio.sleep(_RETRY_SECONDS)
            self._news.clear()
            await self._news.wait()

    async def drain(self, seconds: float) -> None:
        """Flush, and wait that long for acknowledgements; what is left then stays in the spool."""
        await self.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._spool.pending:
                    if not await self._send(self._spool.pending[0]):
                        await asyncio.sleep(_RETRY_SECONDS)
        self._report()

    async def _send(self, batch: SpoolBatch) -> bool:
        """Send one batch; False when the bus did not take all of it. What is sent again has the same message id."""
        if not self._sink.connected:
            return False
        records = await self._spool.read(batch)
        began = perf_counter()
        results = await asyncio.gather(
            *(self._sink.publish(record.subject, record.payload, message_id=record.message_id) for record in records),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BusError):
                self._log.warning("publish_failed", reason=str(result), pending=len(self._spool.pending))
                return False
            if isinstance(result, BaseException):
                raise result
        self._metrics.observe_publish(perf_counter() - began)
        self._spool.acknowledged(batch)
        self._report()
        return True

    def _report(self) -> None:
        spool = self._spool
        self._metrics.set_spool(len(spool.pending), spool.size)
        if spool.dropped > self._seen_dropped:
            self._metrics.count_dropped(spool.dropped - self._seen_dropped)
            self._log.error("spool_full", dropped=spool.dropped, measurements=spool.dropped_rows)
            self._seen_dropped = spool.dropped
