"""A lock: a key of a bucket that only one process holds at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from services.core.bus.buckets import Bus
from services.core.bus.streams import RETRY_SECONDS
from services.core.errors import BusError
from services.core.tasks import cancel_and_wait


class Claim:
    """One process's claim to a key. The bus removes the key after ``seconds`` unless it is renewed."""

    def __init__(self, bus: Bus, bucket: str, key: str, *, name: str, seconds: float) -> None:
        self._bus, self._bucket, self._key, self._seconds = bus, bucket, key, seconds
        self._until = 0.0
        self.name = name

    @property
    def held(self) -> bool:
        """Whether this process certainly still holds the key, whatever the bus did since the last renewal."""
        return time.monotonic() < self._until

    async def take(self) -> str:
        """Take or renew the key unless another process holds it; return the name of the holder.

        Of several concurrent claims, one succeeds. Raises BusError.
        """
        asked, value = time.monotonic(), self.name.encode()
        while (last := await self._bus.kv_last(self._bucket, self._key)) is None or last.deleted or last.data == value:
            if await self._bus.kv_replace(self._bucket, self._key, value, last=last, ttl=self._seconds):
                self._until = asked + self._seconds
                return self.name
            await asyncio.sleep(RETRY_SECONDS)
        return last.data.decode(errors="replace")

    @asynccontextmanager
    async def holding(self, renewal_seconds: float, waiting: Callable[[], object]) -> AsyncIterator[Claim]:
        """Hold the key and renew it. If another process holds it, call ``waiting`` and wait until none does.

        A lost key is not taken again, since another process may have held it meanwhile. Raises BusError.
        """
        if await self.take() != self.name:
            waiting()
            while await self.take() != self.name:  # noqa: ASYNC110  # another process
                await asyncio.sleep(RETRY_SECONDS)
        renewal = asyncio.create_task(self._renew(renewal_seconds))
        try:
            yield self
        finally:
            await cancel_and_wait(renewal)
            with suppress(BusError):
                await self.give_up()

    async def _renew(self, pause: float) -> None:
        await asyncio.sleep(pause)
        while self.held:
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(pause):
                    await self.take()
            await asyncio.sleep(pause)

    async def give_up(self) -> None:
        """Let another process take the key at once, if this one certainly still holds it. Raises BusError.

        A deletion that reaches the bus after another process has taken the key changes nothing.
        """
        if self.held:
            self._until, value = 0.0, self.name.encode()
            while (last := await self._bus.kv_last(self._bucket, self._key)) is not None and last.data == value:
                if await self._bus.kv_replace(self._bucket, self._key, None, last=last):
                    return
                await asyncio.sleep(RETRY_SECONDS)
