"""Puts an index on the bus: slot blocks and recent blocks, then the agencies' blocks, and last the government's.

So a reader that sees the government's new ``as_of`` finds everything else at least as new (docs/design.md §5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from services.core.blocks import (
    RecentBlock,
    encode_recent,
    encode_slot_block,
    stamp_block,
    stamp_recent,
    stamp_slot_block,
)
from services.core.bus import (
    DETAIL_SECONDS,
    GOVERNMENT_KEY,
    INDICATOR_BUCKET,
    MAX_ATOMIC_PUTS,
    SLOTS_PER_BLOCK,
    BoundedTaskGroup,
    Bus,
    consumer_key,
    recent_key,
)
from services.indicator.evidence import Evidence
from services.scorer.index import PendingUpdate
from services.scorer.publishing.blocks import slot_blocks
from services.scorer.publishing.encode import BlockEncoder, EncodedBlock
from services.scorer.publishing.recent import recent_keys

INFLIGHT = 32
"""Calls in flight: enough to keep the bus's disk busy, few enough for prompt answers."""

SMALL = 16 << 10
"""Blocks of up to this many bytes are put together. For larger ones the disk takes longer than the round trip."""


@dataclass(frozen=True, slots=True)
class EncodedSlots:
    """A chunk of slots to put for ``ttl`` seconds: its ``new`` blocks, and ``digests`` by key of those put before."""

    digests: dict[str, bytes]
    new: list[EncodedBlock]
    ttl: float


class IndexPublisher:
    """Puts blocks and keeps their digests, so that an unchanged block is put again only with a new ``as_of``.

    Existing keys are read from the bus, since an earlier process may have put them. ``check`` raises BusError when this
    process may no longer publish.
    """

    def __init__(self, bus: Bus, check: Callable[[], None] = lambda: None) -> None:
        self._bus = bus
        self._check = check
        self._end_slot: int | None = None
        self._digests: dict[str, bytes] = {}
        self._slots: dict[int, dict[str, bytes]] = {}  # by chunk: digests of slot blocks, which hold no as_of
        self._keys: set[str] | None = None
        self._calls = BoundedTaskGroup(INFLIGHT)

    def encode_slots(
        self, due: PendingUpdate, chunk: range, evidence: Evidence, now: float, encoded: list[EncodedSlots]
    ) -> Iterator[None]:
        """Encode the new slot blocks of a chunk from the present evidence, one agency at a time.

        They are appended to ``encoded`` at the end. ``now`` is in epoch seconds.
        """
        seconds = evidence.calendar.slot_seconds
        oldest = (due.end_slot - DETAIL_SECONDS // seconds) // SLOTS_PER_BLOCK
        self._slots = {number: digests for number, digests in self._slots.items() if number >= oldest}
        number, new = chunk.start // SLOTS_PER_BLOCK, list[EncodedBlock]()
        digests = self._slots.setdefault(number, {})
        for key, slot_block in slot_blocks(evidence, due.compiled.arrays, chunk, due.agencies):
            block = _digested(key, encode_slot_block(slot_block))
            if digests.get(key) != block.digest:
                new.append(block)
            yield
        ttl = max(60.0, (number + 1) * SLOTS_PER_BLOCK * seconds + DETAIL_SECONDS - now)
        encoded.append(EncodedSlots(digests, new, ttl))

    async def put_slots(self, due: PendingUpdate, chunks: Iterable[EncodedSlots]) -> None:
        """Put encoded slot blocks. Raises BusError."""
        stamp = partial(stamp_slot_block, evidence_sequence=due.sequence)
        for chunk in chunks:
            await self._put(chunk.new, chunk.digests, stamp, ttl=chunk.ttl)

    async def put_recent(self, due: PendingUpdate, blocks: Iterable[tuple[str, RecentBlock]]) -> None:
        """Put recent blocks, encoding each while others are in flight. Raises BusError."""
        self._forget_older(due.end_slot)
        stamp = partial(stamp_recent, evidence_sequence=due.sequence)
        await self._put((_digested(key, encode_recent(block)) for key, block in blocks), self._digests, stamp)

    async def publish(self, encoder: BlockEncoder) -> int:
        """Put the agencies' blocks, encoding each while others are in flight, then the government's.

        Slot blocks and recent blocks must have been put before. Blocks of agencies that no longer have one are deleted, and
        so is the government's if no link is in force. Returns the number of agencies with a block. Raises BusError; then
        the whole index may be published again.
        """
        if self._keys is None:
            await self._bus.kv_remove_orphans(INDICATOR_BUCKET)
            patterns = (GOVERNMENT_KEY, consumer_key("*"), recent_key("*", "*"))
            existing = [await self._bus.kv_keys(INDICATOR_BUCKET, pattern) for pattern in patterns]
            self._keys = set().union(*existing)
        result = encoder.result
        self._forget_older(result.snapshot.end_slot)
        keys = recent_keys(result.compiled.members)
        self._keys |= keys
        consumers, government = set[str](), set[str]()
        stamp = partial(stamp_block, evidence_sequence=result.snapshot.evidence_sequence)
        numbers = await asyncio.to_thread(encoder.digests)
        blocks = encoder.consumers(numbers, self._digests)
        await self._put(_recorded(blocks, consumers, self._keys), self._digests, stamp)
        await self._put(_recorded(encoder.government(consumers), government, self._keys), self._digests, stamp)
        kept = consumers | government | keys
        gone = self._keys - kept
        self._check()
        await self._calls.run(partial(self._bus.kv_delete, INDICATOR_BUCKET, key) for key in gone)
        self._digests = {key: digest for key, digest in self._digests.items() if key not in gone}
        self._keys = kept
        return len(consumers)

    def _forget_older(self, end_slot: int) -> None:
        """Forget all digests except those of slot blocks when the slot changes: every block needs its new ``as_of``."""
        if self._end_slot != end_slot:
            self._digests.clear()
            self._end_slot = end_slot

    async def _put(
        self,
        blocks: Iterable[EncodedBlock],
        digests: dict[str, bytes],
        stamp: Callable[[bytes], bytes],
        *,
        ttl: float | None = None,
    ) -> None:
        """Put the blocks that differ from those put before. The next ones are encoded while some are in flight."""

        async def put(batch: Sequence[EncodedBlock]) -> None:
            # The content of a block does not depend on how far the evidence was read, which is stamped on it here.
            self._check()
            values = {block.key: stamp(block.payload) for block in batch if block.payload is not None}
            await self._bus.kv_put_all(INDICATOR_BUCKET, values, ttl=ttl)
            digests.update((block.key, block.digest) for block in batch)

        new = (None if block.payload is None or digests.get(block.key) == block.digest else block for block in blocks)
        await self._calls.run(partial(put, batch) if batch else None for batch in _batches(new))


def _batches(blocks: Iterable[EncodedBlock | None]) -> Iterator[list[EncodedBlock]]:
    """Yield the blocks to put in one call: small blocks together, others alone.

    For None nothing is put, but the small blocks before it are, because encoding the next ones takes a while.
    """
    small = list[EncodedBlock]()
    for block in blocks:
        if block is None or len(block.payload or b"") > SMALL:
            yield small
            yield [] if block is None else [block]
            small = []
        else:
            small.append(block)
            if len(small) == MAX_ATOMIC_PUTS:
                yield small
                small = []
    yield small


def _digested(key: str, payload: bytes) -> EncodedBlock:
    return EncodedBlock(key, sha256(payload).digest(), payload)


def _recorded(blocks: Iterable[EncodedBlock], *records: set[str]) -> Iterator[EncodedBlock]:
    """Yield the blocks, and add each key to the records before its block is put."""
    for block in blocks:
        for record in records:
            record.add(block.key)
        yield block
