"""Puts encoded blocks on the bus: only those that changed, small ones together, several calls at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial

from services.core.bus import INDICATOR_BUCKET, MAX_ATOMIC_PUTS, BoundedTaskGroup, Bus, Call
from services.scorer.publishing.encode import EncodedBlock

INFLIGHT = 4
"""Calls in flight: enough to keep the bus's disk busy.

The bus syncs its disk for each of up to 200 blocks, and must acknowledge them within the five seconds of a call.
"""

SMALL = 16 << 10
"""Blocks of up to this many bytes are put together. For larger ones the disk takes longer than the round trip."""

Runner = Callable[[Callable[[], list[EncodedBlock] | None]], Awaitable[list[EncodedBlock] | None]]
"""Makes a call in a thread and returns its result: run_in_thread, or EvidenceLock.run where it reads the evidence."""


class BlockWriter:
    """Puts and deletes blocks. ``check`` raises BusError when this process may no longer publish."""

    def __init__(self, bus: Bus, check: Callable[[], None] = lambda: None) -> None:
        self._bus = bus
        self._check = check
        self._calls = BoundedTaskGroup(INFLIGHT)

    async def put(
        self,
        encoded: Iterator[list[EncodedBlock]],
        digests: dict[str, bytes],
        run: Runner,
        *,
        ttl: float | None = None,
    ) -> int:
        """Put the blocks that differ from those put before, small ones together, and return their number.

        The next ones are encoded while blocks are in flight.
        """
        count = 0

        async def put_together(batch: Sequence[EncodedBlock]) -> None:
            self._check()
            values = {block.key: block.payload for block in batch if block.payload is not None}
            await self._bus.kv_put_all(INDICATOR_BUCKET, values, ttl=ttl)
            digests.update((block.key, block.digest) for block in batch)

        async def calls() -> AsyncGenerator[Call, None]:
            nonlocal count
            small = list[EncodedBlock]()
            while (blocks := await run(partial(next, encoded, None))) is not None:
                for block in blocks:
                    if block.payload is None or digests.get(block.key) == block.digest:
                        continue
                    count += 1
                    if len(block.payload) > SMALL:
                        yield partial(put_together, [block])
                        continue
                    small.append(block)
                    if len(small) == MAX_ATOMIC_PUTS:
                        yield partial(put_together, small)
                        small = []
            if small:
                yield partial(put_together, small)

        async with aclosing(calls()) as source:
            await self._calls.run(source)
        return count

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete blocks. Raises BusError."""
        self._check()
        await self._calls.run(partial(self._bus.kv_delete, INDICATOR_BUCKET, key) for key in keys)
