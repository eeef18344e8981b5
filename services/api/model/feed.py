"""Feeds the read model from the bus: the register in force and every block of indicators.

The scorer puts the government's block last. Two followers may overtake each other, so a new government's block is held
back until the agencies' blocks are as new. When the government's ``as_of`` is visible, everything else is at least as
new.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256

from services.api.model.read_model import ReadModel
from services.api.model.register_view import RegisterView
from services.api.model.watch import WatchHub
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY, INDICATOR_BUCKET, Bus, consumer_key
from services.core.errors import BusError
from services.core.log import Logger
from services.core.model import Register
from services.register.bus import CURRENT_KEY, follow_register, read_manifest

_CATCH_UP_SECONDS = 2.0  # without any new block, as one that never comes must not hold back the rest for long
_RETRY_SECONDS = 0.2


class Feed:
    """Follows the bus for ever, across disconnections."""

    def __init__(self, bus: Bus, model: ReadModel, hub: WatchHub, log: Logger) -> None:
        self._bus = bus
        self._model = model
        self._hub = hub
        self._log = log
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Feed until cancelled. Raises BusError when the register on the bus cannot be trusted."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_register())
                digests = await self._read_agencies()
                group.create_task(self._follow_agencies(digests))
                group.create_task(self._follow_government())
        except ExceptionGroup as failures:
            # The first failure cancelled the other tasks.
            raise failures.exceptions[0] from failures

    async def _follow_register(self) -> None:
        async for register in follow_register(self._bus):
            self._model.replace_register(RegisterView(register, await self._publication_time(register)))
            self._hub.note_register()
            self._changed.set()
            self._log.info("register_in_force", register_version=register.register_version, links=len(register.links))

    async def _publication_time(self, register: Register) -> float | None:
        """Return when this register was published, once the bus answers; None if it has another one by now."""
        while True:
            try:
                manifest = await read_manifest(self._bus, CURRENT_KEY)
            except BusError as error:
                self._log.warning("register_time_unread", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            versions = register.register_version, register.probe_version
            if manifest is None or (manifest.register_version, manifest.probe_version) != versions:
                return None
            return manifest.published

    async def _read_agencies(self) -> dict[str, bytes]:
        """Read every agency's block, so that a government's block never appears without them; return digests by key."""
        while True:
            digests: dict[str, bytes] = {}
            try:
                async for key, payload in self._bus.kv_each(INDICATOR_BUCKET, consumer_key("*")):
                    self._replace(key, payload)
                    digests[key] = _digest(payload)
            except BusError as error:
                self._log.warning("blocks_read_failed", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            return digests

    async def _follow_agencies(self, taken: dict[str, bytes]) -> None:
        async for key, payload in self._bus.kv_follow(INDICATOR_BUCKET, consumer_key("*")):
            known = taken.pop(key, None)
            if known is None or known != _digest(payload):
                self._replace(key, payload)
            self._changed.set()

    async def _follow_government(self) -> None:
        async for key, payload in self._bus.kv_follow(INDICATOR_BUCKET, GOVERNMENT_KEY):
            block = self._decode(key, payload)
            if block is not None:
                await self._wait_for_agencies(block.as_of)
                self._hub.publish(self._model.replace_block(key, block))
            elif payload is None:
                self._hub.publish(self._model.replace_block(key, None))

    async def _wait_for_agencies(self, as_of: int) -> None:
        try:
            while not self._model.agencies_reach(as_of):
                self._changed.clear()
                async with asyncio.timeout(_CATCH_UP_SECONDS):
                    await self._changed.wait()
        except TimeoutError:
            self._log.warning("agencies_behind", as_of=as_of)

    def _replace(self, key: str, payload: bytes | None) -> None:
        block = self._decode(key, payload)
        if block is not None or payload is None:
            self._hub.publish(self._model.replace_block(key, block))
        if block is not None:
            block.forget()

    def _decode(self, key: str, payload: bytes | None) -> BlockReader | None:
        """Return the block; None when it was deleted, or is unreadable: the old one is still true as of its time."""
        if payload is None:
            return None
        try:
            return BlockReader.of(payload)
        except ValueError as error:
            self._log.warning("block_unreadable", key=key, reason=str(error))
            return None


def _digest(payload: bytes | None) -> bytes:
    return b"" if payload is None else sha256(payload).digest()
