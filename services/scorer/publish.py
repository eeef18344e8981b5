"""A judgement, put on the bus: slot blocks, then agencies' blocks, the government's last (DESIGN.md, Contracts).

Whoever sees the government's ``as_of`` therefore finds everything else at least as new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from services.core.bus import Bus, subjects
from services.core.codec import (
    ExchangeVolume,
    RecentBlock,
    encode_recent,
    encode_slot_block,
    indicator_to_message,
    stamp_block,
    stamp_recent,
    stamp_slot_block,
)
from services.core.errors import BusError
from services.core.evidence import Indicator
from services.indicator.window import Evidence
from services.scorer.blocks import CHUNK_SLOTS, consumer_key, slot_blocks
from services.scorer.encoded import Encoded, EncodedBlocks
from services.scorer.judgement import Judgement
from services.scorer.latest import LATEST, latest_keys
from services.scorer.reconciling import Reconciled
from services.scorer.scoring import DETAIL_SECONDS

__all__ = ["Publisher", "Slots"]

Call = Callable[[], Coroutine[Any, Any, object]]

INFLIGHT = 32
"""Messages under way at once: enough to keep the bus's disk busy, few enough for its answer to stay prompt."""


@dataclass(frozen=True, slots=True)
class Slots:
    """A chunk of slots to be put for ``ttl`` seconds: what is ``new`` of it, and ``digests`` by key of what is there."""

    digests: dict[str, bytes]
    new: list[Encoded]
    ttl: float


class Publisher:
    """Remembers what it has put, so that a block that says the same as before is put again only with a new ``as_of``.

    Which blocks are there already it asks the bus: whoever put them may have ended before it could remember.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._as_of: int | None = None
        self._digests: dict[str, bytes] = {}
        self._slots: dict[int, dict[str, bytes]] = {}  # digests of slots, which say nothing of as_of, by chunk
        self._keys: set[str] | None = None
        self._gate = asyncio.Semaphore(INFLIGHT)

    def slots(self, judgement: Judgement, evidence: Evidence, now: float) -> list[Slots]:
        """Encode the slot blocks that are due and say something new, from the evidence as it stands; ``now`` in epoch
        seconds.
        """
        found = list[Slots]()
        for chunk in judgement.chunks:
            for _ in self.encode_slots(judgement, chunk, evidence, now, found):
                pass
        return found

    def encode_slots(
        self, judgement: Judgement, chunk: range, evidence: Evidence, now: float, found: list[Slots]
    ) -> Iterator[None]:
        """Encode one chunk like ``slots``, an agency at a time, and append it to ``found`` in the end."""
        seconds = evidence.calendar.slot_seconds
        oldest = (judgement.snapshot.end_slot - DETAIL_SECONDS // seconds) // CHUNK_SLOTS
        self._slots = {number: digests for number, digests in self._slots.items() if number >= oldest}
        number, new = chunk.start // CHUNK_SLOTS, list[Encoded]()
        digests = self._slots.setdefault(number, {})
        for key, block in slot_blocks(evidence, judgement.frame, chunk, judgement.due):
            encoded = _encoded(key, encode_slot_block(block))
            if digests.get(key) != encoded.digest:
                new.append(encoded)
            yield
        found.append(Slots(digests, new, max(60.0, (number + 1) * CHUNK_SLOTS * seconds + DETAIL_SECONDS - now)))

    async def publish(
        self,
        judgement: Judgement,
        slots: Iterable[Slots],
        latest: Iterable[tuple[str, RecentBlock]],
        volumes: Iterable[ExchangeVolume],
        reconciled: Reconciled,
    ) -> int:
        """Put every block that is due, and delete those of agencies that have none any more.

        All but slots are encoded while others are under way. Returns how many agencies have a block. Raises BusError; then
        all of it may be published again.
        """
        if self._keys is None:
            await self._bus.kv_tidy(subjects.INDICATOR)
            patterns = (consumer_key("*"), LATEST)
            found = [await self._bus.kv_keys(subjects.INDICATOR, pattern) for pattern in patterns]
            self._keys = set().union(*found)
        sequence = judgement.snapshot.evidence_sequence
        await self.put_slots(slots, sequence)
        if self._as_of != judgement.snapshot.as_of:
            self._digests.clear()
        blocks, keys = EncodedBlocks(judgement, volumes, reconciled), latest_keys(judgement.members)
        self._keys |= keys
        stamp = partial(stamp_recent, evidence_sequence=sequence)
        await self._put((_encoded(key, encode_recent(block)) for key, block in latest), self._digests, stamp)
        consumers = set[str]()
        stamp = partial(stamp_block, evidence_sequence=sequence)
        await self._put(_noted(blocks.of_consumers(self._digests), consumers, self._keys), self._digests, stamp)
        await self._put(blocks.of_government(consumers), self._digests, stamp)
        gone = self._keys - consumers - keys
        await self._each(partial(self._bus.kv_delete, subjects.INDICATOR, key) for key in gone)
        self._keys = consumers | keys
        self._as_of = judgement.snapshot.as_of
        return len(consumers)

    async def put_slots(self, slots: Iterable[Slots], evidence_sequence: int) -> None:
        """Put slots, before whatever else an index consists of. Raises BusError."""
        stamp = partial(stamp_slot_block, evidence_sequence=evidence_sequence)
        for some in slots:
            await self._put(some.new, some.digests, stamp, ttl=some.ttl)

    async def _put(
        self,
        due: Iterable[Encoded],
        digests: dict[str, bytes],
        stamp: Callable[[bytes], bytes],
        *,
        ttl: float | None = None,
    ) -> None:
        """Put what differs from what was put before; the next are encoded while some are under way."""

        async def put(key: str, payload: bytes, digest: bytes) -> None:
            try:
                await self._bus.kv_put(subjects.INDICATOR, key, payload, ttl=ttl)
                digests[key] = digest
            finally:
                self._gate.release()

        try:
            async with asyncio.TaskGroup() as group:
                for at, one in enumerate(due):
                    # What a block says does not depend on how far the evidence has been read: that is added afterwards.
                    if one.payload is not None and digests.get(one.key) != one.digest:
                        await self._gate.acquire()
                        group.create_task(put(one.key, stamp(one.payload), one.digest))
                    if at % INFLIGHT == 0:
                        await asyncio.sleep(0)
        except* BusError as errors:
            raise errors.exceptions[0] from None

    async def announce(self, indicators: Sequence[Indicator]) -> None:
        """Send indicators to INDICATORS; sending the same ones again within two minutes changes nothing."""
        await self._each(partial(self._send, row) for row in indicators)

    async def _send(self, row: Indicator) -> None:
        name = (row.kind.label, row.id, row.window_days)
        payload = indicator_to_message(row).SerializeToString()
        message_id = "-".join(map(str, (*name, row.as_of)))
        await self._bus.publish(subjects.indicator(*name), payload, message_id=message_id)

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


def _encoded(key: str, payload: bytes) -> Encoded:
    return Encoded(key, sha256(payload).digest(), payload)


def _noted(due: Iterable[Encoded], *notes: set[str]) -> Iterator[Encoded]:
    """What is due, its keys noted before it is put."""
    for one in due:
        for note in notes:
            note.add(one.key)
        yield one
