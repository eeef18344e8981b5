"""Keeps the read model fed from the bus: the register in force and every block of indicators.

The scorer publishes the government's block last. Two followers may overtake each other, so a new government block is
held back until the agencies' blocks are there and as new: whoever sees the government's ``as_of`` finds everything else at
least as new.
"""

from __future__ import annotations

import asyncio

from services.api.model.read_model import GOVERNMENT_BLOCK, ReadModel, block_key
from services.api.model.register_view import RegisterView
from services.api.model.watch import WatchHub
from services.core.blocks import BlockReader
from services.core.bus import INDICATOR_BUCKET, REGISTER_BUCKET, Bus
from services.core.codec import decode_manifest
from services.core.errors import BusError
from services.core.log import Logger
from services.core.model import Register
from services.register.bus import CURRENT_KEY, follow_register

__all__ = ["Feed"]

_CATCH_UP_SECONDS = 2.0  # without any news: a block that never comes must not hold back the rest for long
_RETRY_SECONDS = 0.2


class Feed:
    """Follows the bus for ever, across disconnections."""

    def __init__(self, bus: Bus, model: ReadModel, hub: WatchHub, log: Logger) -> None:
        self._bus = bus
        self._model = model
        self._hub = hub
        self._log = log
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Feed until cancelled. Raises BusError when what the bus holds as the register cannot be trusted."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_register())
                known = await self._agencies_now()
                group.create_task(self._follow_agencies(known))
                group.create_task(self._follow_government())
        except ExceptionGroup as failures:
            # One ends the others; the first one says why.
            raise failures.exceptions[0] from failures

    async def _follow_register(self) -> None:
        async for register in follow_register(self._bus):
            self._model.take_register(RegisterView(register, await self._published(register)))
            self._moved.set()
            self._log.info("register_in_force", register_version=register.register_version, links=len(register.links))

    async def _published(self, register: Register) -> float | None:
        """When this register was published; None when the bus does not say, or has a newer one by now."""
        try:
            payload = await self._bus.kv_get(REGISTER_BUCKET, CURRENT_KEY)
            manifest = None if payload is None else decode_manifest(payload)
        except (BusError, ValueError):
            return None
        names = register.register_version, register.probe_version
        return manifest.published if manifest and (manifest.register_version, manifest.probe_version) == names else None

    async def _agencies_now(self) -> dict[str, bytes]:
        """Take in every agency's block there is, so that a government's block is never shown without them."""
        while True:
            try:
                known = await self._bus.kv_all(INDICATOR_BUCKET, block_key("*"))
            except BusError as error:
                self._log.warning("blocks_read_failed", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for key, payload in known.items():
                self._take(key, payload)
            return known

    async def _follow_agencies(self, known: dict[str, bytes]) -> None:
        async for key, payload in self._bus.kv_follow(INDICATOR_BUCKET, block_key("*")):
            if payload is None or known.pop(key, None) != payload:
                self._take(key, payload)
            self._moved.set()

    async def _follow_government(self) -> None:
        async for key, payload in self._bus.kv_follow(INDICATOR_BUCKET, GOVERNMENT_BLOCK):
            block = self._decoded(key, payload)
            if block is not None:
                await self._caught_up(block.as_of)
                self._hub.publish(self._model.take_block(key, block))
            elif payload is None:
                self._hub.publish(self._model.take_block(key, None))

    async def _caught_up(self, as_of: int) -> None:
        try:
            while not self._model.agencies_reach(as_of):
                self._moved.clear()
                async with asyncio.timeout(_CATCH_UP_SECONDS):
                    await self._moved.wait()
        except TimeoutError:
            self._log.warning("agencies_behind", as_of=as_of)

    def _take(self, key: str, payload: bytes | None) -> None:
        block = self._decoded(key, payload)
        if block is not None or payload is None:
            self._hub.publish(self._model.take_block(key, block))

    def _decoded(self, key: str, payload: bytes | None) -> BlockReader | None:
        """The block; None when it was deleted or cannot be read: what was known before is still true as of its time."""
        if payload is None:
            return None
        try:
            return BlockReader.of(payload)
        except ValueError as error:
            self._log.warning("block_unreadable", key=key, reason=str(error))
            return None
