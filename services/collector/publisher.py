"""Publishes the latest revision of each summary, and all again if the bus loses any (docs/exchange.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from services.collector.ledger import Ledger, LedgerExecutor, PendingSummary
from services.core import codec
from services.core.bus import Bus, exchange_subject, shard_of
from services.core.errors import BusError
from services.core.log import Logger

SUMMARIES_PER_READ = 8000
"""How many summaries are read at once, enough to fill messages.

Each message is acknowledged in a transaction of its own, which waits for the disk.
"""

_MOST_SUMMARIES = 500
_LARGEST_PAYLOAD = 900_000  # bytes; NATS takes 1 MiB


@dataclass(frozen=True, slots=True)
class SummaryMessage:
    """An ExchangeSummaryBatch ready to be published.

    Its id follows from its content, so sending it again is harmless.
    """

    subject: str
    payload: bytes
    id: str
    summaries: tuple[PendingSummary, ...]

    @property
    def revision(self) -> int:
        """The highest revision of its summaries."""
        return max(waiting.summary.revision for waiting in self.summaries)


def messages(bus: str, alias: str, pending: Sequence[PendingSummary]) -> Iterator[SummaryMessage]:
    """Yield messages of one data bus that carry ``pending`` in its order. ``alias`` is as in ExchangeSummary."""
    for start in range(0, len(pending), _MOST_SUMMARIES):
        yield from _fitting(bus, alias, pending[start : start + _MOST_SUMMARIES])


def _fitting(bus: str, alias: str, pending: Sequence[PendingSummary]) -> Iterator[SummaryMessage]:
    summaries = [waiting.summary for waiting in pending]
    payload = codec.encode_summaries(bus, [replace(one, alias=alias) for one in summaries] if alias else summaries)
    if len(payload) > _LARGEST_PAYLOAD and len(pending) > 1:
        half = len(pending) // 2
        yield from _fitting(bus, alias, pending[:half])
        yield from _fitting(bus, alias, pending[half:])
        return
    digest = blake2b(payload, digest_size=16).hexdigest()
    yield SummaryMessage(exchange_subject(bus, shard_of(bus)), payload, f"exchange-{bus}-{digest}", tuple(pending))


class SummaryPublisher:
    """Publishes the summaries of ``ledger`` that the bus has not acknowledged, in the order of their revisions.

    If a message that the bus cannot have gets a sequence from before, the stream was created anew or has shrunk. Then
    all summaries are published again. A message that the bus may have says nothing, because it gets the sequence that
    it got then. Once ``again`` is set, the next flush publishes all summaries again.
    """

    def __init__(
        self,
        name: str,
        alias: str,
        bus: Bus,
        executor: LedgerExecutor,
        ledger: Ledger,
        again: asyncio.Event,
        log: Logger,
    ) -> None:
        self._name, self._alias, self._bus = name, alias, bus
        self._executor, self._ledger, self._log = executor, ledger, log
        self._again = again
        self._sent = ledger.revision
        """Messages without a later revision may have been sent before, by this process or by an earlier one."""

    async def flush(self) -> bool:
        """Publish up to SUMMARIES_PER_READ summaries; return whether more may wait. Raises BusError.

        Summaries that the bus has acknowledged before it fails stay acknowledged.
        """
        if self._again.is_set():
            self._again.clear()
            self._log.info("publishing_again")
            await self._unpublish(0)
        pending = await self._executor.run(self._ledger.unpublished, SUMMARIES_PER_READ)
        for message in messages(self._name, self._alias, pending):
            if not await self._publish(message):
                return True
        return len(pending) == SUMMARIES_PER_READ

    async def _publish(self, message: SummaryMessage) -> bool:
        """Publish one message; return whether the bus still has what it acknowledged before. Raises BusError."""
        is_new = message.revision > self._sent
        try:
            sequence = await self._bus.publish(message.subject, message.payload, message_id=message.id)
        except BusError:
            self._sent = max(self._sent, message.revision)
            raise
        highest = self._ledger.acknowledged
        if is_new and sequence <= highest:
            self._log.error("stream_lost_messages", sequence=sequence, acknowledged=highest)
            await self._unpublish(sequence)
            return False
        await self._executor.run(self._ledger.acknowledge, message.summaries, sequence)
        return True

    async def _unpublish(self, sequence: int) -> None:
        await self._executor.run(self._ledger.publish_again, sequence)
        self._sent = self._ledger.revision
