"""A scorer without a bus, a stream for it, and a simulated crash."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from services.core.bus import Bus, StoredMessage, StreamState
from services.core.bus.stream_cursor import StreamCursor
from services.core.codec import decode_columns, encode_measurements
from services.core.log import logger
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.indicator.index.snapshot import Snapshot
from services.register.directory.load import load_register
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.health import ReadinessReporter
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.ingest.repair import start_position
from services.scorer.refresher import Refresher
from services.scorer.state.store import Store
from tests.support.registers import write_register

__all__ = [
    "LONG_SLOT",
    "SLOT",
    "START",
    "START_OF_STREAM",
    "CrashError",
    "KeptStream",
    "Run",
    "Stored",
    "crash",
    "differences",
    "register",
    "register_directory",
    "register_of_long_slots",
    "still_refresher",
    "stream",
]

SLOT = 300
LONG_SLOT = 3 * SLOT
"""For streams that last days; it takes a third of the work."""
START = 1_772_388_000  # 2026-03-01T18:00:00Z: in Tehran the day ends 30 slots later
START_OF_STREAM = StreamPosition("MEASUREMENTS", "2026-03-01T00:00:00.123456+00:00", 0)
REASONS = [Reason.OK] * 6 + [Reason.ANSWER_TIMEOUT, Reason.STATUS, Reason.LATE, Reason.SHED]


def register_directory(folder: Path, slot_seconds: int = SLOT) -> Path:
    """Write a register. Slots close a little over an hour after their end; evidence begins days before the stream."""
    write_register(folder, policy_yaml=("grace_hours: 24", "grace_hours: 1"))
    policy = folder / "policy.yaml"
    text = policy.read_text("utf-8").replace("epoch: 2026-01-01", "epoch: 2026-02-26")
    policy.write_text(text.replace("slot_seconds: 300", f"slot_seconds: {slot_seconds}"), "utf-8")
    return folder


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(register_directory(tmp_path_factory.mktemp("register")))


@pytest.fixture(scope="module")
def register_of_long_slots(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(register_directory(tmp_path_factory.mktemp("register"), LONG_SLOT))


@dataclass(frozen=True)
class Stored:
    """A message of the stream."""

    sequence: int
    time: float
    payload: bytes


def stream(register: Register, *, slots: int, seed: int) -> list[Stored]:
    """Batches of every slot from two vantages: some late, some too late, some repeated."""
    chance = random.Random(seed)
    targets = [
        *(Target(name) for name in register.links),
        *(Target(name, endpoint=True) for name in register.endpoints),
    ]
    sent: list[tuple[float, bytes]] = []
    slot_seconds = register.policy.slot_seconds
    for slot in range(slots):
        start = START + slot * slot_seconds
        for vantage in ("north", "south"):
            rows = []
            for target in targets:
                reason = chance.choice(REASONS)
                rows.append(Measurement(target, vantage, start, start + 5.0, OUTCOME_OF[reason], reason))
            delay = chance.choice([0, 0, 0, 0, 0, 1_000, 3_500, 5_500])
            payload = encode_measurements(rows)
            sent.append((start + slot_seconds + 2 + delay, payload))
            if chance.random() < 0.2:
                sent.append((start + slot_seconds + 30 + delay, payload))
    sent.sort(key=lambda message: message[0])
    return [Stored(sequence, *message) for sequence, message in zip(count(1), sent, strict=False)]


class CrashError(Exception):
    """The simulated end of the process."""


def crash() -> None:
    """Simulate SIGKILL."""
    raise CrashError


@dataclass(frozen=True)
class KeptStream:
    """The messages that a stream still holds, with the reading methods of a bus."""

    messages: Sequence[Stored]
    first: int = 1
    subject: str = ""
    created: str = START_OF_STREAM.created

    async def stream_state(self, _stream: str) -> StreamState:
        last = self.messages[-1].sequence
        return StreamState(self.created, self.first, last, last + 1 - self.first, 0, self.messages[-1].time)

    async def read(
        self, _stream: str, start: int, *, limit: int = 500, since: datetime | None = None
    ) -> list[StoredMessage]:
        begin = 0.0 if since is None else since.timestamp()
        found = [
            StoredMessage(message.sequence, self.subject, message.payload, message.time)
            for message in self.messages
            if message.sequence >= max(start, self.first) and message.time >= begin
        ]
        return found[:limit]


class Run:
    """A scorer without a bus. It reads messages, counts each slot as for an index, and saves on request.

    Its files survive a crash. Without ``stream``, none of them may be damaged.
    """

    def __init__(
        self,
        register: Register,
        folder: Path,
        stream: KeptStream | None = None,
        *,
        accept: bool = False,
        dataset: str = "",
    ) -> None:
        calendar = Calendar.of(register.policy)
        self.store = Store(folder, calendar)
        loaded = self.store.load(register.targets)
        position = loaded.manifest.position if loaded.manifest else START_OF_STREAM
        if stream is not None:
            needed_from = calendar.epoch - calendar.slot_seconds
            cursor = StreamCursor(cast(Bus, stream), "MEASUREMENTS", needed_from=needed_from, accept=accept)
            loaded.evidence.columns.of(register.targets)
            loaded, position = asyncio.run(
                start_position(cursor, self.store, loaded, register.policy, dataset=dataset, log=logger())
            )
        else:
            assert not loaded.damages
        self.scoring = Scoring(CompiledRegister.of(register), loaded, position)

    def take(self, message: Stored) -> None:
        self.scoring.take(decode_columns(message.payload), stored=message.time, sequence=message.sequence)
        end_slot = self.scoring.settled(message.time)
        published = self.scoring.manifest.end_slot
        if published is None or end_slot > published:
            self.scoring.count(end_slot)  # an index would change nothing that is kept, and take most of the time
            self.scoring.published(end_slot)
            for _ in self.scoring.close():
                pass

    def save(self) -> None:
        save = self.scoring.save()
        if save is not None:
            self.store.save(save)
            self.store.release(self.scoring.evidence)

    def result(self, end_slot: int) -> Snapshot:
        return self.scoring.compute(self.scoring.count(end_slot)).snapshot


def differences(one: Snapshot, other: Snapshot) -> Iterator[str]:
    """Yield the name of everything that differs, even in its last bit."""
    for name in ("end_slot", "as_of", "register_version", "evidence_sequence", "windows"):
        if getattr(one, name) != getattr(other, name):
            yield name
    columns: tuple[tuple[Mapping[Any, Any], Mapping[Any, Any]], ...] = (
        (one.columns, other.columns),
        (one.links, other.links),
    )
    for mine, theirs in columns:
        assert mine.keys() == theirs.keys()
        for key in mine:
            for field in fields(mine[key]):
                if not _same(getattr(mine[key], field.name), getattr(theirs[key], field.name)):
                    yield f"{key} {field.name}"


def _same(one: object, other: object) -> bool:
    mine, theirs = np.asarray(one), np.asarray(other)
    return np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")


def still_refresher(
    scoring: Scoring, exchanges: ExchangeDatabase, readiness: ReadinessReporter | None = None
) -> Refresher:
    """Return a refresher that has neither a bus nor a clock, and so cannot publish."""
    unused = cast(Any, None)
    return Refresher(
        scoring,
        EvidenceLock(),
        unused,
        exchanges,
        unused,
        metrics=unused,
        readiness=readiness or unused,
        clock=unused,
        bus_clock=unused,
        log=logger(),
    )
