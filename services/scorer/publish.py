"""A judgement, put on the bus: slot blocks, then agencies' blocks, the government's last (DESIGN.md, Contracts).

Whoever sees the government's ``as_of`` therefore finds everything else at least as new.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from services.core.bus import Bus, subjects
from services.core.codec import (
    BlockColumns,
    ExchangeVolume,
    RecentBlock,
    encode_block,
    encode_recent,
    encode_slot_block,
    indicator_to_message,
    stamp_block,
    stamp_recent,
)
from services.core.errors import BusError
from services.core.evidence import Indicator
from services.core.reconciliation import Reconciliation
from services.indicator.window import Evidence
from services.scorer.blocks import (
    CHUNK_SLOTS,
    GOVERNMENT,
    consumer_block,
    consumer_key,
    government_block,
    slot_blocks,
)
from services.scorer.latest import LATEST
from services.scorer.reconciling import Reconciled
from services.scorer.scoring import DETAIL_SECONDS, Judgement
from services.scorer.table import Table

__all__ = ["Publisher"]

Call = Callable[[], Coroutine[Any, Any, object]]

INFLIGHT = 32
"""Messages under way at once: enough to keep the bus's disk busy, few enough for its answer to stay prompt."""


class Publisher:
    """Remembers what it has put, so that a block that says the same as before is put again only with a new ``as_of``.

    Which blocks are there already it asks the bus: whoever put them may have ended before it could remember.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._as_of: int | None = None
        self._digests: dict[str, bytes] = {}
        self._keys: set[str] | None = None
        self._gate = asyncio.Semaphore(INFLIGHT)

    def slots(self, judgement: Judgement, evidence: Evidence, now: float) -> list[tuple[str, bytes, float]]:
        """Encode the slot blocks that are due, as key, value and seconds to live, from the evidence as it stands."""
        slot_seconds = evidence.calendar.slot_seconds
        found = []
        for chunk in judgement.chunks:
            detail = evidence.detail(judgement.frame, chunk, judgement.frame.targets)
            end = (chunk.start // CHUNK_SLOTS + 1) * CHUNK_SLOTS * slot_seconds
            ttl = max(60.0, end + DETAIL_SECONDS - now)
            blocks = slot_blocks(
                detail,
                judgement.members,
                slot_seconds=slot_seconds,
                evidence_sequence=judgement.snapshot.evidence_sequence,
            )
            found += [(key, encode_slot_block(block), ttl) for key, block in blocks]
        return found

    async def publish(
        self,
        judgement: Judgement,
        slots: Iterable[tuple[str, bytes, float]],
        latest: Iterable[tuple[str, RecentBlock]],
        volumes: Iterable[ExchangeVolume],
        reconciled: Reconciled,
    ) -> int:
        """Put every block that is due, and delete those of agencies that have none any more.

        Returns how many agencies have one. Raises BusError; then all of it may be published again.
        """
        if self._keys is None:
            await self._bus.kv_tidy(subjects.INDICATOR)
            patterns = (consumer_key("*"), LATEST)
            found = [await self._bus.kv_keys(subjects.INDICATOR, pattern) for pattern in patterns]
            self._keys = set().union(*found)
        recent = dict(latest)
        blocks, government = _blocks(judgement, volumes, reconciled)
        await self._each(
            partial(self._bus.kv_put, subjects.INDICATOR, key, value, ttl=ttl) for key, value, ttl in slots
        )
        sequence = judgement.snapshot.evidence_sequence
        if self._as_of != judgement.snapshot.as_of:
            self._digests.clear()
        self._keys |= blocks.keys() | recent.keys()
        stamp = partial(stamp_recent, evidence_sequence=sequence)
        await self._each(partial(self._put, key, partial(encode_recent, one), stamp) for key, one in recent.items())
        stamp = partial(stamp_block, evidence_sequence=sequence)
        await self._each(partial(self._put, key, partial(encode_block, one), stamp) for key, one in blocks.items())
        if len(government.ids):
            await self._put(GOVERNMENT, partial(encode_block, government), stamp)
        gone = self._keys - blocks.keys() - recent.keys()
        await self._each(partial(self._bus.kv_delete, subjects.INDICATOR, key) for key in gone)
        self._keys = {*blocks, *recent}
        self._as_of = judgement.snapshot.as_of
        return len(blocks)

    async def announce(self, indicators: Sequence[Indicator]) -> None:
        """Send indicators to INDICATORS; sending the same ones again within two minutes changes nothing."""
        await self._each(partial(self._send, row) for row in indicators)

    async def _send(self, row: Indicator) -> None:
        name = (row.kind.label, row.id, row.window_days)
        payload = indicator_to_message(row).SerializeToString()
        message_id = "-".join(map(str, (*name, row.as_of)))
        await self._bus.publish(subjects.indicator(*name), payload, message_id=message_id)

    async def _put(self, key: str, encode: Callable[[], bytes], stamp: Callable[[bytes], bytes]) -> None:
        # What a block says does not depend on how far the evidence has been read, so that is added after the comparison.
        payload = encode()
        digest = sha256(payload).digest()
        if self._digests.get(key) != digest:
            await self._bus.kv_put(subjects.INDICATOR, key, stamp(payload))
            self._digests[key] = digest

    async def _each(self, calls: Iterable[Call]) -> None:
        """Make all calls, some at a time. Raises BusError when any of them does."""

        async def gated(call: Call) -> None:
            async with self._gate:
                await call()

        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(gated(call))
        except* BusError as errors:
            raise errors.exceptions[0] from None


def _blocks(
    judgement: Judgement, volumes: Iterable[ExchangeVolume], reconciled: Reconciled
) -> tuple[dict[str, BlockColumns], BlockColumns]:
    """Return every agency's block by key, and the government's."""
    table = Table.of(judgement.snapshot)
    of_consumer: dict[str, list[ExchangeVolume]] = defaultdict(list)
    for volume in volumes:
        of_consumer[volume.consumer].append(volume)
    links: dict[str, list[Reconciliation]] = defaultdict(list)
    for one in reconciled.links:
        link = judgement.register.links.get(one.link)
        if link is not None:
            links[judgement.register.consumer(link)].append(one)
    found = (
        (consumer_key(agency), consumer_block(table, own, of_consumer.get(agency, ()), links.get(agency, ())))
        for agency, own in judgement.members.items()
    )
    blocks = {key: block for key, block in found if len(block.ids)}
    others = [
        volume for consumer, of_one in of_consumer.items() if consumer_key(consumer) not in blocks for volume in of_one
    ]
    return blocks, government_block(table, others, judgement.structures, reconciled.traffic)
