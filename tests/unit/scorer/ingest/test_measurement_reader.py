"""Only messages of a register that is published but not adopted yet wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import Bus, StoredMessage
from services.core.bus.names import measurement_subject
from services.core.bus.stream_cursor import StreamCursor
from services.core.codec import RegisterPublication, encode_measurements
from services.core.log import logger
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement, RegisterVersions, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import Register
from services.core.runtime import Health
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.health import ReadinessReporter
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.ingest import measurement_reader
from services.scorer.ingest.measurement_reader import ADOPTION_SECONDS, MeasurementReader
from services.scorer.metrics import ScorerMetrics
from tests.support.cases.scoring import SLOT, START, Run, register
from tests.support.waiting import eventually

__all__ = ["register"]  # the fixture


@dataclass
class Cursor:
    """A stream of messages, and how often it was read."""

    messages: Sequence[StoredMessage]
    bus: Bus = field(default=cast(Bus, None))
    reads: int = 0

    async def read(self, position: StreamPosition, *, limit: int, now: float) -> list[StoredMessage]:
        assert now >= 0
        self.reads += 1
        return list(self.messages[position.sequence : position.sequence + limit])


@dataclass
class Running:
    """A reader with a clock of its own, and the versions of the registers published, newest first."""

    scoring: Scoring
    cursor: Cursor
    clock: SimpleNamespace
    published: list[RegisterVersions]

    @property
    def taken(self) -> int:
        return self.scoring.manifest.position.sequence

    async def reads_again(self) -> None:
        """Wait until the reader has read twice more."""
        reads = self.cursor.reads + 2
        await eventually(lambda: self.cursor.reads >= reads, "another read")


def successor(register: Register, link: str = "deed-new") -> Register:
    """Return the next version, which has one link more."""
    links = {**register.links, link: replace(register.links["deed-civil"], id=link)}
    return replace(register, links=links, register_version=link[-1] * 64)


def message(sequence: int, target: str, by: RegisterVersions) -> StoredMessage:
    """Return a batch of one row, measured by a register."""
    row = Measurement(Target(target), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    row = replace(row, register_version=by.register_version, probe_version=by.probe_version)
    return StoredMessage(sequence, measurement_subject("north", 0), encode_measurements([row]), START + 10.0)


@pytest.fixture
def running(register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A reader of a stream whose second message is of the next register and names a link of that register only."""
    now, new = register.versions, successor(register).versions
    messages = [message(1, "deed-civil", now), message(2, "deed-new", new), message(3, "deed-civil", new)]
    clock = SimpleNamespace(now=0.0)
    one = Running(Run(register, tmp_path).scoring, Cursor(messages), clock, [new, now])

    async def publications(_: Bus) -> list[RegisterPublication]:
        return [
            RegisterPublication(versions.register_version, versions.probe_version, START) for versions in one.published
        ]

    monkeypatch.setattr(measurement_reader, "read_publications", publications)
    monkeypatch.setattr(measurement_reader, "READ_POLL_SECONDS", 0)
    monkeypatch.setattr(measurement_reader, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return one


@pytest.fixture
async def reading(running: Running):
    """The same while it reads."""
    reader = MeasurementReader(
        running.scoring,
        EvidenceLock(),
        metrics=ScorerMetrics(CollectorRegistry()),
        readiness=ReadinessReporter(Health()),
        log=logger(),
    )
    task = asyncio.ensure_future(reader.run(cast(StreamCursor, running.cursor), 0))
    yield running
    task.cancel()
    await asyncio.wait({task})


async def test_measurements_wait_for_their_register(reading: Running, register: Register) -> None:
    """Measurements by a published register wait until it is adopted, and then count. Nothing overtakes them."""
    await reading.reads_again()
    assert reading.taken == 1
    reading.scoring.adopt(CompiledRegister.of(successor(register)))
    await eventually(lambda: reading.taken == 3, "all are taken in")
    counts = reading.scoring.compute(reading.scoring.count(START // SLOT + 1)).snapshot.links[7].counts
    assert counts[:, list(reading.scoring.arrays.links).index("deed-new")].sum() == 1


async def test_measurements_wait_while_another_register_is_published(reading: Running, register: Register) -> None:
    """Measurements by a register still wait, and then count, after a newer one was published before its adoption."""
    first, second = successor(register), successor(successor(register), "deed-more")
    reading.published.insert(0, second.versions)
    await reading.reads_again()
    assert reading.taken == 1
    reading.scoring.adopt(CompiledRegister.of(first))
    await eventually(lambda: reading.taken == 3, "all are taken in")
    assert Target("deed-new") in reading.scoring.evidence.columns.targets


async def test_measurements_by_a_register_that_is_never_adopted_wait_for_the_newest(
    reading: Running, register: Register
) -> None:
    """Measurements by a register that the scorer could not read do not wait once the one after it is adopted."""
    newest = replace(register, register_version="m" * 64)
    reading.published.insert(0, newest.versions)
    await reading.reads_again()
    assert reading.taken == 1
    reading.scoring.adopt(CompiledRegister.of(newest))
    await eventually(lambda: reading.taken == 3, "all are taken in")


async def test_measurements_of_no_published_register_do_not_wait(running: Running, reading: Running) -> None:
    """A batch of a register that nobody published does not stop the scorer. Its unknown targets are refused at once."""
    running.published[:] = [RegisterVersions("a" * 64, "b" * 64)]
    await eventually(lambda: reading.taken == 3, "all are taken in")
    assert Target("deed-new") not in reading.scoring.evidence.columns.targets


async def test_measurements_do_not_wait_for_ever(reading: Running) -> None:
    """A register that is published but cannot be adopted stops the scorer only for some minutes."""
    await reading.reads_again()
    assert reading.taken == 1
    reading.clock.now += ADOPTION_SECONDS
    await eventually(lambda: reading.taken == 3, "all are taken in")
