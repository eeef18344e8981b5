"""The prober of a vantage, from the measurement on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from services.core.model import Measurement, Target
from services.core.model.outcome import Outcome, Reason
from services.prober.publishing import MeasurementPublisher, Spool
from services.prober.publishing.spool import SpoolBatch, SpooledMessage
from tests.simulation.component import Component, Deaf, World, together
from tests.simulation.record import Record

_REASONS = {None: Reason.SHED, 0: Reason.RESOLVE_FAILED, 1: Reason.SERVER_ERROR, 2: Reason.BODY, 3: Reason.LATE,
            4: Reason.STALE, 5: Reason.OK}  # fmt: skip


class _RecordedSpool(Spool):
    """A spool that tells the record what it has on disk."""

    def __init__(self, folder: Path, limit: int, record: Record) -> None:
        super().__init__(folder, limit)
        self._record = record

    async def add(self, messages: Sequence[SpooledMessage], rows: int) -> SpoolBatch:
        batch = await super().add(messages, rows)
        if batch.path is not None:
            self._record.spooled.update(message.message_id for message in messages)
        return batch

    def _drop(self, batch: SpoolBatch) -> None:
        from services.prober.publishing.spool import _decode  # noqa: PLC0415

        messages = batch.messages or (_decode(batch.path.read_bytes())[1] if batch.path else ())
        self._record.dropped.update(message.message_id for message in messages)
        super()._drop(batch)


class Prober(Component):
    """The prober of a vantage, from the measurement on."""

    def __init__(self, world: World, vantage: str, rng: random.Random) -> None:
        super().__init__(world, f"prober-{vantage}", rng)
        self.vantage = vantage
        self.spool: Spool | None = None
        self.until = world.shape.end

    async def work(self, accept: bool) -> None:  # noqa: ARG002  # it reads no stream
        spool = _RecordedSpool(self.folder, self.world.shape.spool_bytes, self.world.record)
        self.spool = spool
        spool.open()
        run = self.rng.randbytes(16)
        publisher = MeasurementPublisher(spool, self.client, Deaf(), self.log, run=run)  # type: ignore[arg-type]  # metrics
        self.note(f"run {run.hex()}")
        await together(publisher.send(), self._probe(publisher))

    def release(self) -> None:
        if self.spool is not None:
            self.spool.close()

    async def _probe(self, publisher: MeasurementPublisher) -> None:
        seconds = self.world.shape.register["slot_seconds"]
        while True:
            slot = int(self.clock() // seconds)
            at = slot * seconds + self.rng.uniform(0.02, 0.5) * seconds
            if self.clock() < at:
                await asyncio.sleep(at - self.clock())
                targets = self.world.truth.targets
                cut = self.rng.choice([*[0] * 7, len(targets) // 2])
                for part in filter(None, (targets[:cut], targets[cut:])):
                    for endpoint, name in part:
                        publisher.add(self._measure(endpoint, name, slot))
                    await publisher.flush()
            await asyncio.sleep(max(1.0, (slot + 1) * seconds - self.clock()))
            if self.world.loop.time() > self.until:
                await asyncio.Event().wait()

    def _measure(self, endpoint: bool, name: str, slot: int) -> Measurement:  # as a target is
        stage = self.world.truth.stage(endpoint, name, slot) if self.rng.random() < 0.95 else None
        reason = _REASONS[stage]
        return Measurement(
            target=Target(name, endpoint),
            vantage=self.vantage,
            slot_start=slot * self.world.shape.register["slot_seconds"],
            time=None if reason is Reason.SHED else round(self.clock(), 3),
            outcome=Outcome.UNKNOWN if stage is None else Outcome(stage + 2),
            reason=reason,
            latency=None if stage is None else 0.1,
            register_version=self.world.register.register_version,
            probe_version=self.world.register.probe_version,
            prober=self.name,
        )
