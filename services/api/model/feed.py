"""Feeds the read model from the bus: the register in force and every block of indicators.

The scorer puts the government's block last. Two followers may overtake each other, so a new government's block is held
back until the agencies' blocks are as new. When the government's ``as_of`` is visible, everything else is at least as
new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from services.api.model.read_model import ReadModel
from services.api.model.register_view import RegisterView, agency_block_key
from services.api.model.watch import WatchHub
from services.core.blocks import BlockReader, blocks_of_group
from services.core.bus import GOVERNMENT_KEY, INDICATOR_BUCKET, Bus, consumers_key
from services.core.errors import BusError
from services.core.log import Logger
from services.core.model import Register
from services.core.tasks import Slices
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
        self._sources: dict[str, str] = {}  # by agency: the key of the bucket whose value has its block
        self._agencies: dict[str, frozenset[str]] = {}  # by key of the bucket: the agencies of its value

    async def run(self) -> None:
        """Feed until cancelled. Raises BusError when the register on the bus cannot be trusted."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_register())
                await self._read_agencies()
                group.create_task(self._follow_agencies())
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

    async def _read_agencies(self) -> None:
        """Read every agency's block, so that a government's block never appears without them."""
        while True:
            try:
                async for key, value in self._bus.kv_each(INDICATOR_BUCKET, consumers_key("*")):
                    await self._replace(key, value)
            except BusError as error:
                self._log.warning("blocks_read_failed", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            return

    async def _follow_agencies(self) -> None:
        async for key, value in self._bus.kv_follow(INDICATOR_BUCKET, consumers_key("*")):
            await self._replace(key, value)
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

    async def _replace(self, key: str, value: bytes | None) -> None:
        """Replace those blocks that differ from a value of the bucket, and remove those that it lacks."""
        try:
            blocks = {} if value is None else _blocks_by_agency(key, value)
        except ValueError as error:
            self._log.warning("block_unreadable", key=key, reason=str(error))
            return
        slices = Slices()
        for agency, payload in blocks.items():
            block_key = agency_block_key(agency)
            known, source = self._model.blocks.get(block_key), self._sources.get(agency, key)
            if known is None or known.payload != payload:
                block = self._decode(block_key, payload)
                if source != key and known is not None and block is not None and block.as_of < known.as_of:
                    continue  # version 0.2.0 put it, and no scorer has removed it yet
                if block is not None:
                    self._hub.publish(self._model.replace_block(block_key, block))
                    block.forget()
                await slices.pause()
            self._sources[agency] = key
        for agency in self._agencies.get(key, frozenset()) - blocks.keys():
            if self._sources.get(agency) == key:  # otherwise another value has its block now
                del self._sources[agency]
                self._hub.publish(self._model.replace_block(agency_block_key(agency), None))
        self._agencies[key] = frozenset(blocks)

    def _decode(self, key: str, payload: bytes | None) -> BlockReader | None:
        """Return the block; None when it was deleted, or is unreadable: the old one is still true as of its time."""
        if payload is None:
            return None
        try:
            return BlockReader.of(payload)
        except ValueError as error:
            self._log.warning("block_unreadable", key=key, reason=str(error))
            return None


def _blocks_by_agency(key: str, value: bytes) -> Mapping[str, bytes]:
    """Return the blocks of a value of the bucket. Version 0.2.0 put each agency's block under a key of its own."""
    return blocks_of_group(value) or {key.removeprefix(consumers_key("")): value}
