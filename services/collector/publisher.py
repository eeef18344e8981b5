"""Publishes summaries until the bus has acknowledged each in its latest revision (docs/design.md §5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from services.collector.ledger import PendingSummary
from services.core import codec
from services.core.bus import Bus, exchange_subject, shard_of

__all__ = ["SummaryMessage", "messages", "publish"]

_MOST_SUMMARIES = 500
_LARGEST_PAYLOAD = 900_000  # bytes; NATS takes 1 MiB


@dataclass(frozen=True, slots=True)
class SummaryMessage:
    """One ExchangeSummaryBatch, ready to be published. The id follows from the content, so sending it again is harmless."""

    subject: str
    payload: bytes
    id: str
    summaries: tuple[PendingSummary, ...]


def messages(bus: str, register_version: str, pending: Sequence[PendingSummary]) -> Iterator[SummaryMessage]:
    """Make the messages of one data bus that carry ``pending``, by shard of the consumer agency."""
    shards: dict[int, list[PendingSummary]] = defaultdict(list)
    for one in pending:
        shards[shard_of(one.summary.consumer)].append(one)
    for shard, some in sorted(shards.items()):
        for start in range(0, len(some), _MOST_SUMMARIES):
            yield from _fitting(bus, register_version, shard, some[start : start + _MOST_SUMMARIES])


def _fitting(bus: str, register_version: str, shard: int, some: Sequence[PendingSummary]) -> Iterator[SummaryMessage]:
    payload = codec.encode_summaries(bus, register_version, [one.summary for one in some])
    if len(payload) > _LARGEST_PAYLOAD and len(some) > 1:
        half = len(some) // 2
        yield from _fitting(bus, register_version, shard, some[:half])
        yield from _fitting(bus, register_version, shard, some[half:])
        return
    digest = blake2b(payload, digest_size=16).hexdigest()
    yield SummaryMessage(exchange_subject(bus, shard), payload, f"exchange-{bus}-{digest}", tuple(some))


async def publish(bus: Bus, message: SummaryMessage) -> None:
    """Publish one message. Raises BusError when it is not acknowledged."""
    await bus.publish(message.subject, message.payload, message_id=message.id)
