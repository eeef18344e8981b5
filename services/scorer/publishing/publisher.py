"""Puts an index on the bus: slot blocks and recent blocks, then the agencies' blocks, and last the government's.

So a reader that sees the government's new ``as_of`` finds everything else at least as new (docs/design.md §5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from services.core.blocks import (
    RecentBlock,
    encode_recent_blocks,
    encode_slot_blocks,
    stamp_recent,
    stamp_slot_block,
)
from services.core.bus import (
    DETAIL_SECONDS,
    GOVERNMENT_KEY,
    INDICATOR_BUCKET,
    SLOTS_PER_BLOCK,
    Bus,
    consumers_key,
    group_of_slot_key,
    recent_key,
    slot_key,
)
from services.core.tasks import run_in_thread
from services.indicator.evidence import Evidence
from services.scorer.index import PendingUpdate
from services.scorer.publishing.block_writer import BlockWriter, Runner
from services.scorer.publishing.blocks import slot_blocks
from services.scorer.publishing.encode import AgencyBlock, BlockEncoder, EncodedBlock, encode_target_blocks
from services.scorer.publishing.recent import recent_keys

_NEAR_EXPIRY_SECONDS = 600.0
"""How long before its expiry a chunk of slots may be gone already, since clocks are set now and then."""


class IndexPublisher:
    """Puts blocks and keeps their digests, so that an unchanged block is put again only with a new ``as_of``.

    Existing keys are read from the bus, since an earlier process may have put them. ``check`` raises BusError when this
    process may no longer publish.
    """

    def __init__(self, bus: Bus, check: Callable[[], None] = lambda: None) -> None:
        self._bus = bus
        self._writer = BlockWriter(bus, check)
        self._end_slot: int | None = None
        self._digests: dict[str, bytes] = {}
        self._agencies: dict[str, AgencyBlock] = {}
        self._slots: dict[int, dict[str, bytes]] = {}  # by chunk: digests of slot blocks, which hold no as_of
        self._slot_seconds = 0  # of the slots put last
        self._keys: set[str] | None = None

    async def put_slots(self, due: PendingUpdate, chunk: range, evidence: Evidence, now: float, run: Runner) -> int:
        """Put the new slot blocks of a chunk and return their number. ``now`` is in epoch seconds. Raises BusError."""
        self._slot_seconds = seconds = evidence.calendar.slot_seconds
        oldest = (due.end_slot - DETAIL_SECONDS // seconds) // SLOTS_PER_BLOCK
        self._slots = {number: digests for number, digests in self._slots.items() if number >= oldest}
        number = chunk.start // SLOTS_PER_BLOCK
        ttl = max(60.0, _expiry_of(number, seconds) - now)
        stamp = partial(stamp_slot_block, evidence_sequence=due.sequence)
        blocks = slot_blocks(evidence, due.compiled.arrays, chunk, due.groups)
        encoded = encode_target_blocks(blocks, encode_slot_blocks, stamp)
        return await self._writer.put(encoded, self._slots.setdefault(number, {}), run, ttl=ttl)

    async def forget_lost_slots(self, now: float) -> bool:
        """Forget all slot blocks that were put if the bucket lost them, and return whether it did. Raises BusError.

        Somebody may have purged or recreated it, or restored an older copy of it. The blocks of one group are looked up,
        except that of the newest chunk, which the next slot changes, and those that expire soon. ``now`` is in epoch
        seconds.
        """
        older = {
            chunk: digests
            for chunk, digests in sorted(self._slots.items())[:-1]
            if digests and _expiry_of(chunk, self._slot_seconds) >= now + _NEAR_EXPIRY_SECONDS
        }
        if not older:
            return False
        group = group_of_slot_key(next(iter(older[max(older)])))
        put = {key for chunk, digests in older.items() if (key := slot_key(group, chunk)) in digests}
        lost = not put <= await self._bus.kv_keys(INDICATOR_BUCKET, slot_key(group, "*"))
        if lost:
            self._slots.clear()
        return lost

    async def put_recent(self, due: PendingUpdate, blocks: Iterable[tuple[str, RecentBlock]], run: Runner) -> None:
        """Put recent blocks. Raises BusError."""
        self._forget_older(due.end_slot)
        stamp = partial(stamp_recent, evidence_sequence=due.sequence)
        await self._writer.put(encode_target_blocks(blocks, encode_recent_blocks, stamp), self._digests, run)

    async def publish(self, encoder: BlockEncoder) -> int:
        """Put the agencies' blocks, then the government's.

        Slot blocks and recent blocks must have been put before. Blocks of agencies that no longer have one are deleted, and
        so is the government's if no link is in force. Returns the number of agencies with a block. Raises BusError; then
        the whole index may be published again.
        """
        if self._keys is None:
            await self._bus.kv_remove_orphans(INDICATOR_BUCKET)
            patterns = (GOVERNMENT_KEY, consumers_key("*"), recent_key("*", "*"))
            existing = [await self._bus.kv_keys(INDICATOR_BUCKET, pattern) for pattern in patterns]
            self._keys = set().union(*existing)
        result = encoder.result
        self._forget_older(result.snapshot.end_slot)
        keys = recent_keys(result.compiled.groups)
        self._keys |= keys
        put = set[str]()
        numbers = await run_in_thread(encoder.digests)
        for encoded in (encoder.groups(numbers, self._digests, self._agencies), encoder.government()):
            await self._writer.put(_recorded(encoded, put, self._keys), self._digests, run_in_thread)
        kept = put | keys
        gone = self._keys - kept
        await self._writer.delete(gone)
        self._digests = {key: digest for key, digest in self._digests.items() if key not in gone}
        self._keys = kept
        return len(encoder.consumers)

    def _forget_older(self, end_slot: int) -> None:
        """Forget all digests except those of slot blocks when the slot changes: every block needs its new ``as_of``."""
        if self._end_slot != end_slot:
            self._digests.clear()
            self._agencies.clear()
            self._end_slot = end_slot


def _expiry_of(chunk: int, slot_seconds: int) -> int:
    """Return when the slot blocks of a chunk expire, in epoch seconds: when no slot of it is kept in detail any more."""
    return (chunk + 1) * SLOTS_PER_BLOCK * slot_seconds + DETAIL_SECONDS


def _recorded(encoded: Iterable[list[EncodedBlock]], *records: set[str]) -> Iterator[list[EncodedBlock]]:
    """Yield the blocks, and add each key to the records before its block is put."""
    for blocks in encoded:
        for record in records:
            record.update(block.key for block in blocks)
        yield blocks
