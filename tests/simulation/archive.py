"""The real archive, with empty streams of exchanges and indicators."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from services.archive.component import _Archive
from services.core.model import StreamPosition
from services.core.runtime import Health
from services.dataset.log import SigningKey
from services.dataset.positions import read_position
from services.dataset.storage import LocalStorage, Storage
from services.dataset.tables import MEASUREMENT
from services.indicator.calendar import Calendar
from tests.simulation.component import Component, World, together
from tests.simulation.disk import Disk, MemoryStorage
from tests.simulation.shape import DAY, Shape

KEY = SigningKey.generate("simulation.test")


class Archive(Component):
    """The real archive, with empty streams of exchanges and indicators."""

    def __init__(self, world: World, rng: random.Random) -> None:
        super().__init__(world, "archive", rng)
        self._archive: _Archive | None = None
        world.record.durable[self.name] = self.durable

    def durable(self) -> StreamPosition | None:
        """Return the position up to which the dataset has the stream."""
        found = read_position(self.world.storage, MEASUREMENT)
        return None if found is None else StreamPosition(found.stream, found.created, found.sequence)

    async def work(self, accept: bool) -> None:
        shape, register = self.world.shape, self.world.register
        settings = SimpleNamespace(segment_seconds=shape.segment_seconds, accept_gap=accept, data=self.folder)
        runtime: Any = SimpleNamespace(
            settings=settings, registry=CollectorRegistry(), log=self.log, health=Health(), stop=asyncio.Event()
        )
        archive = self._archive = _Archive(runtime, self.client, self.world.storage, KEY)  # type: ignore[arg-type]
        archive.adopt(register)
        needed = Calendar.of(register.policy).epoch
        await together(archive.seal(), *(archive.read(one, needed) for one in archive.archivers))

    async def stop(self) -> None:
        """Stop it as SIGTERM does: it writes what it has read."""
        if self.runs and self._archive is not None:
            self.kill(DAY)
            await self._archive.flush()


def storage_of(shape: Shape, disk: Disk) -> Storage:
    """Return the storage where the archive of a simulation keeps its dataset."""
    return LocalStorage(disk.root / "archive" / "dataset") if shape.on_files else MemoryStorage(disk, "archive")
