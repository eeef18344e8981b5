"""The scorer without exchanges: evidence, index, state on disk.

Stubs replace the parts that only show these: metrics, blocks, health.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

from services.core.bus import MEASUREMENTS, StreamCursor
from services.core.errors import BusError, GapError
from services.core.files import unsealed
from services.core.model import StreamPosition
from services.core.runtime import Health
from services.core.tasks import run_in_thread
from services.indicator.calendar import Calendar
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.health import ReadinessReporter
from services.scorer.index import CompiledRegister, IndexResult, Scoring
from services.scorer.ingest import MeasurementReader, start_position
from services.scorer.publishing import BlockEncoder
from services.scorer.refresher import Refresher
from services.scorer.state import Store
from services.scorer.state.loading import MANIFESTS
from services.scorer.state.manifest import SavedState
from tests.simulation.component import Component, Deaf, World, together
from tests.simulation.shape import DAY


class _Published:
    """Takes the index instead of publishing it on the bus."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def put_slots(self, *_: object) -> int:
        await self._scorer.client.stream_state(MEASUREMENTS)
        return 0

    async def put_recent(self, *_: object) -> None:
        await self._scorer.client.stream_state(MEASUREMENTS)

    async def publish(self, encoder: BlockEncoder) -> int:
        await self._scorer.client.stream_state(MEASUREMENTS)
        self._scorer.published = encoder.result
        return 0


class Scorer(Component):
    """The scorer without exchanges: evidence, index, state on disk."""

    def __init__(self, world: World, rng: random.Random) -> None:
        super().__init__(world, "scorer", rng)
        self.compiled = CompiledRegister.of(world.register)
        self.scoring: Scoring | None = None
        self.published: IndexResult | None = None
        self._lock = EvidenceLock()
        self._store = Store(self.folder, Calendar.of(world.register.policy))
        world.record.durable[self.name] = self.durable

    def durable(self) -> StreamPosition | None:
        """Return the position up to which its files have the stream."""
        for name in MANIFESTS:
            path = self._store.folder / name
            if path.exists():
                try:
                    return SavedState.decode(unsealed(path.read_bytes())).manifest.position
                except ValueError:
                    continue
        return None

    async def work(self, accept: bool) -> None:
        policy, targets = self.world.register.policy, self.compiled.arrays.targets
        calendar = Calendar.of(policy)
        store = Store(self.folder, calendar)
        loaded = await asyncio.to_thread(partial(store.load, targets))
        loaded.evidence.columns.of(targets)
        needed = calendar.epoch - calendar.slot_seconds
        cursor = StreamCursor(self.client, MEASUREMENTS, needed_from=needed, accept=accept)  # type: ignore[arg-type]
        dataset = self.world.storage.address if self.world.shape.restores else ""
        while True:
            try:
                loaded, position = await start_position(cursor, store, loaded, policy, dataset=dataset, log=self.log)
                behind = await cursor.behind(position)
                break
            except GapError:
                raise
            except BusError:
                await asyncio.sleep(600.0)
        scoring = self.scoring = Scoring(self.compiled, loaded, position)
        self.world.record.repairing.discard(self.name)
        self.note(f"resumes after {position.sequence}")
        self._lock, readiness = EvidenceLock(), ReadinessReporter(Health())
        lock = self._lock
        deaf: Any = Deaf()
        deaf.read_up_to = 0.0  # of exchanges
        reader = MeasurementReader(scoring, lock, metrics=deaf, readiness=readiness, log=self.log)
        refresher = Refresher(
            scoring,
            lock,
            _Published(self),  # type: ignore[arg-type]
            deaf,
            deaf,
            metrics=deaf,
            readiness=readiness,
            clock=self.clock,
            bus_clock=self._bus_clock,
            log=self.log,
        )

        async def refresh() -> None:
            await reader.caught_up.wait()
            await refresher.run()

        await together(
            reader.run(cursor, position.sequence + behind), refresh(), self._save_often(scoring, store, lock)
        )

    def publish_soon(self) -> None:
        """Publish the index of now, if it runs: the next one may be due in days."""
        self._lock.changed.set()

    def told(self, sentence: str) -> None:
        """Excuse messages about slots that the stream may not have in full, after evidence was damaged.

        A slot may be measured a slot early.
        """
        if "evidence is damaged" in sentence:
            record, seconds = self.world.record, self.world.shape.register["slot_seconds"]
            held = self.world.bus.streams[MEASUREMENTS].messages
            whole_from = (held[0].time if held else self.world.loop.time()) + 2 * seconds + DAY
            record.excused[self.name].update(
                entry for entry in record.entries if any(row.slot_start < whole_from for row in entry.rows)
            )

    async def _bus_clock(self) -> float:
        return (await self.client.stream_state(MEASUREMENTS)).now

    async def _save_often(self, scoring: Scoring, store: Store, lock: EvidenceLock) -> None:
        """Save every half slot, as services.scorer.session saves now and then."""
        while True:
            async with lock.lock:
                update = scoring.save()
            if update is not None:
                await run_in_thread(partial(store.save, update))
                await lock.run(partial(store.release, scoring.evidence))
            await asyncio.sleep(self.world.shape.register["slot_seconds"] / 2)

    def release(self) -> None:
        self.scoring = None
