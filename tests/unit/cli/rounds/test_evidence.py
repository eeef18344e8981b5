"""The evidence of a provisional round has open days after sealed days."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from services.cli.rounds.evidence import copy_sealed, seal_open
from services.core.model.register import Register
from services.dataset.days import EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import BATCH, StoredBatch, batch_table
from tests.support.cases.scoring import START, register

__all__ = ["register"]

RUN = "0a" * 16


def test_open_days_are_accounted_for_as_sealed_ones(register: Register, tmp_path: Path) -> None:
    """The account of batches continues after the last sealed day and names missing ones; segments are left out."""
    policy, key = register.policy, SigningKey.generate("archive.example")
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    today = days.day_of(START)
    begins = float(days.span(today).start)
    source, target = LocalStorage(tmp_path / "dataset"), LocalStorage(tmp_path / "round")

    def take(numbers: range, stored: float) -> None:
        hashes = {number: sha256(bytes([number])).digest() for number in range(9)}
        batches = [
            StoredBatch("main", "p1", RUN, number, hashes[number], hashes[number - 1], stored, number)
            for number in numbers
        ]
        write_segments(source, BATCH, [batch_table(batches)], numbers.start, numbers.stop - 1, days)

    take(range(1, 4), begins - 3600)
    yesterday = days.day_of(begins - 3600)
    Sealer(source, key, days).seal(yesterday, SealingContext())
    take(range(4, 6), begins + 3600)
    take(range(7, 9), begins + 3660)
    sealed, _ = copy_sealed(source, target, [yesterday], key.public)
    (manifest,) = seal_open(source, target, [today], key, policy, sealed)
    assert manifest.runs is not None
    (run,) = manifest.runs
    assert (run.batches, run.first, run.last, run.holes, run.broken) == (4, 4, 8, ((6, 6),), 0)
    assert not [name for name in target.names() if name.startswith(("evidence/open/", "evidence/log/"))]
