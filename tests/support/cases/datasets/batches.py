"""Batches of a prober's runs, and a dataset that stores them and whose days are sealed."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from services.dataset.days import BatchRun, EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import Storage
from services.dataset.tables import BATCH, StoredBatch, batch_table

__all__ = [
    "DAYS",
    "FIRST",
    "GRACE",
    "MIDNIGHT",
    "OTHER",
    "RUN",
    "SECOND",
    "START",
    "THIRD",
    "Dataset",
    "at",
    "chain",
    "faults",
    "only",
]

GRACE = 3600
DAYS = EvidenceDays("Asia/Tehran", GRACE, 300)
FIRST = "2026-09-21"
START, MIDNIGHT = DAYS.span(FIRST).start, DAYS.span(FIRST).stop
SECOND, THIRD = DAYS.day_of(MIDNIGHT), DAYS.day_of(MIDNIGHT + 90_000)
RUN, OTHER = "a" * 32, "b" * 32


def chain(count: int, run: str = RUN, *, content: str = "") -> list[StoredBatch]:
    """The batches of a run in order, one a minute, starting a minute into the first day."""
    batches: list[StoredBatch] = []
    for number in range(1, count + 1):
        previous = batches[-1].sha256 if batches else b""
        digest = sha256(f"{run}{content}{number}".encode() + previous).digest()
        batches.append(StoredBatch("main", "p1", run, number, digest, previous, START + 60.0 * number, number))
    return batches


def at(batches: list[StoredBatch], moment: float) -> list[StoredBatch]:
    """The same batches, stored a second apart from a moment on."""
    return [replace(one, stored=moment + number) for number, one in enumerate(batches)]


class Dataset:
    """A dataset that stores batches in the given order and whose days are sealed."""

    def __init__(self, storage: Storage, key: SigningKey, days: EvidenceDays = DAYS) -> None:
        self.storage = storage
        self.days = days
        self.sealer = Sealer(self.storage, key, days)
        self.sequence = self.generation = 0

    def begin_again(self) -> None:
        """Restart the stream, so that its sequences are given again."""
        self.sequence, self.generation = 0, self.generation + 1

    def take(self, batches: list[StoredBatch], *, cut: int = 1000) -> Dataset:
        for first in range(0, len(batches), cut):
            part = [replace(one, sequence=self.sequence + place) for place, one in enumerate(batches[first:][:cut], 1)]
            first_sequence, last_sequence = self.sequence + 1, self.sequence + len(part)
            table = batch_table(part)
            write_segments(self.storage, BATCH, [table], first_sequence, last_sequence, self.days, self.generation)
            self.sequence += len(part)
        return self

    def seal(self, day: str = FIRST) -> tuple[BatchRun, ...]:
        self.sealer.seal(day, SealingContext())
        latest = self.sealer.latest()
        assert latest is not None
        assert latest.runs is not None
        return latest.runs


def only(runs: tuple[BatchRun, ...]) -> BatchRun:
    (run,) = runs
    return run


def faults(run: BatchRun) -> dict[str, int]:
    return {name: count for name, count in run.faults().items() if count}
