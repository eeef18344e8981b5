"""An index, put on the bus: slots and what was last measured, then agencies' blocks, the government's last (docs/design.md,
Contracts).

Whoever sees the government's ``as_of`` therefore finds everything else at least as new.
"""

from __future__ import annotations

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
    INDICATOR_BUCKET,
    MAX_ATOMIC_PUTS,
    SLOTS_PER_BLOCK,
    BoundedTaskGroup,
    Bus,
    consumer_key,
    recent_key,
)
from services.core.codec import ExchangeVolume
from services.indicator.evidence import Evidence
from services.scorer.exchanges import ReconciliationReport
from services.scorer.index import IndexResult, PendingUpdate
from services.scorer.publishing.blocks import slot_blocks
from services.scorer.publishing.encode import BlockEncoder, EncodedBlock
from services.scorer.publishing.recent import latest_keys

__all__ = ["EncodedSlots", "IndexPublisher"]

INFLIGHT = 32
"""Calls under way at once: enough to keep the bus's disk busy, few enough for its answer to stay prompt."""

SMALL = 16 << 10
"""Blocks of up to so many bytes are put together: for what is larger the disk takes longer than the wait for it."""


@dataclass(frozen=True, slots=True)
class EncodedSlots:
    """A chunk of slots to be put for ``ttl`` seconds: what is ``new`` of it, and ``digests`` by key of what is there."""

    digests: dict[str, bytes]
    new: list[EncodedBlock]
    ttl: float


class IndexPublisher:
    """Remembers what it has put, so that a block that says the same as before is put again only with a new ``as_of``.

    Which blocks are there already it asks the bus: whoever put them may have ended before it could remember.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._end_slot: int | None = None
        self._digests: dict[str, bytes] = {}
        self._slots: dict[int, dict[str, bytes]] = {}  # digests of slots, which say nothing of as_of, by chunk
        self._keys: set[str] | None = None
        self._inflight = BoundedTaskGroup(INFLIGHT)

    def encode_slots(
        self, due: PendingUpdate, chunk: range, evidence: Evidence, now: float, found: list[EncodedSlots]
    ) -> Iterator[None]:
        """Encode what is due of a chunk and says something new, from the evidence as it stands; ``now`` in epoch seconds.

        It is encoded an agency at a time, and appended to ``found`` in the end.
        """
        seconds = evidence.calendar.slot_seconds
        oldest = (due.end_slot - DETAIL_SECONDS // seconds) // SLOTS_PER_BLOCK
        self._slots = {number: digests for number, digests in self._slots.items() if number >= oldest}
        number, new = chunk.start // SLOTS_PER_BLOCK, list[EncodedBlock]()
        digests = self._slots.setdefault(number, {})
        for key, block in slot_blocks(evidence, due.adopted.arrays, chunk, due.agencies):
            encoded = _encoded(key, encode_slot_block(block))
            if digests.get(key) != encoded.digest:
                new.append(encoded)
            yield
        found.append(
            EncodedSlots(digests, new, max(60.0, (number + 1) * SLOTS_PER_BLOCK * seconds + DETAIL_SECONDS - now))
        )

    async def put_slots(self, due: PendingUpdate, slots: Iterable[EncodedSlots]) -> None:
        """Put what was encoded of slots. Raises BusError."""
        stamp = partial(stamp_slot_block, evidence_sequence=due.sequence)
        for some in slots:
            await self._put(some.new, some.digests, stamp, ttl=some.ttl)

    async def put_latest(self, due: PendingUpdate, latest: Iterable[tuple[str, RecentBlock]]) -> None:
        """Put what was last measured, encoded while others are under way. Raises BusError."""
        self._renew(due.end_slot)
        stamp = partial(stamp_recent, evidence_sequence=due.sequence)
        await self._put((_encoded(key, encode_recent(block)) for key, block in latest), self._digests, stamp)

    async def publish(
        self, judgement: IndexResult, volumes: Iterable[ExchangeVolume], reconciled: ReconciliationReport
    ) -> int:
        """Put the agencies' blocks, encoded while others are under way, then the government's; delete those of agencies that
        have none any more.

        Slots and what was last measured are put before. Returns how many agencies have a block. Raises BusError; then all
        of it may be published again.
        """
        if self._keys is None:
            await self._bus.kv_remove_orphans(INDICATOR_BUCKET)
            patterns = (consumer_key("*"), recent_key("*", "*"))
            found = [await self._bus.kv_keys(INDICATOR_BUCKET, pattern) for pattern in patterns]
            self._keys = set().union(*found)
        self._renew(judgement.snapshot.end_slot)
        blocks, keys = BlockEncoder(judgement, volumes, reconciled), latest_keys(judgement.members)
        self._keys |= keys
        consumers = set[str]()
        stamp = partial(stamp_block, evidence_sequence=judgement.snapshot.evidence_sequence)
        await self._put(_noted(blocks.of_consumers(self._digests), consumers, self._keys), self._digests, stamp)
        await self._put(blocks.of_government(consumers), self._digests, stamp)
        gone = self._keys - consumers - keys
        await self._inflight.run(partial(self._bus.kv_delete, INDICATOR_BUCKET, key) for key in gone)
        self._keys = consumers | keys
        return len(consumers)

    def _renew(self, end_slot: int) -> None:
        """Have everything but slots put again as of a later slot, whether it says anything new or not."""
        if self._end_slot != end_slot:
            self._digests.clear()
            self._end_slot = end_slot

    async def _put(
        self,
        due: Iterable[EncodedBlock],
        digests: dict[str, bytes],
        stamp: Callable[[bytes], bytes],
        *,
        ttl: float | None = None,
    ) -> None:
        """Put what differs from what was put before; the next are encoded while some are under way."""

        async def put(some: Sequence[EncodedBlock]) -> None:
            # What a block says does not depend on how far the evidence has been read: that is added afterwards.
            values = {one.key: stamp(one.payload) for one in some if one.payload is not None}
            await self._bus.kv_put_all(INDICATOR_BUCKET, values, ttl=ttl)
            digests.update((one.key, one.digest) for one in some)

        new = (None if one.payload is None or digests.get(one.key) == one.digest else one for one in due)
        await self._inflight.run(partial(put, some) if some else None for some in _together(new))


def _together(new: Iterable[EncodedBlock | None]) -> Iterator[list[EncodedBlock]]:
    """Yield what is put in one go, small blocks together and others alone; nothing for None, before which none waits."""
    small = list[EncodedBlock]()
    for one in new:
        if one is None or len(one.payload or b"") > SMALL:
            yield small
            yield [] if one is None else [one]
            small = []
        else:
            small.append(one)
            if len(small) == MAX_ATOMIC_PUTS:
                yield small
                small = []
    yield small


def _encoded(key: str, payload: bytes) -> EncodedBlock:
    return EncodedBlock(key, sha256(payload).digest(), payload)


def _noted(due: Iterable[EncodedBlock], *notes: set[str]) -> Iterator[EncodedBlock]:
    """What is due, its keys noted before it is put."""
    for one in due:
        for note in notes:
            note.add(one.key)
        yield one
