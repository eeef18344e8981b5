"""Publishes summaries until the bus has acknowledged the latest revision of each (docs/design.md §5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from services.collector.ledger import PendingSummary
from services.core import codec
from services.core.bus import Bus, exchange_subject, shard_of

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


def messages(bus: str, alias: str, pending: Sequence[PendingSummary]) -> Iterator[SummaryMessage]:
    """Yield messages of one data bus that carry ``pending``, by shard of the client.

    ``alias`` is as in ExchangeSummary.
    """
    shards: dict[int, list[PendingSummary]] = defaultdict(list)
    for waiting in pending:
        shards[shard_of(waiting.summary.client)].append(waiting)
    for shard, summaries in sorted(shards.items()):
        for start in range(0, len(summaries), _MOST_SUMMARIES):
            yield from _fitting(bus, alias, shard, summaries[start : start + _MOST_SUMMARIES])


def _fitting(bus: str, alias: str, shard: int, pending: Sequence[PendingSummary]) -> Iterator[SummaryMessage]:
    summaries = [waiting.summary for waiting in pending]
    payload = codec.encode_summaries(bus, [replace(one, alias=alias) for one in summaries] if alias else summaries)
    if len(payload) > _LARGEST_PAYLOAD and len(pending) > 1:
        half = len(pending) // 2
        yield from _fitting(bus, alias, shard, pending[:half])
        yield from _fitting(bus, alias, shard, pending[half:])
        return
    digest = blake2b(payload, digest_size=16).hexdigest()
    yield SummaryMessage(exchange_subject(bus, shard), payload, f"exchange-{bus}-{digest}", tuple(pending))


async def publish(bus: Bus, message: SummaryMessage) -> None:
    """Publish one message. Raises BusError when it is not acknowledged."""
    await bus.publish(message.subject, message.payload, message_id=message.id)
