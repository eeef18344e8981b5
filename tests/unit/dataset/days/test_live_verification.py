"""A dataset is verified while its archive seals a day."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.dataset.days import EvidenceDays, LogFiles, Manifest, Sealer, SealingContext, verify, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import EXCHANGE, MEASUREMENT
from tests.support.cases.datasets.rows import START, exchanged, measured

DAYS = EvidenceDays("Asia/Tehran", 3600.0, 300)
DAY = DAYS.day_of(START)
AFTER = "2030-01-01"


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate("archive.example")


def fill(storage: LocalStorage) -> None:
    for sequence in (1, 2):
        write_segments(storage, MEASUREMENT, [measured(sequence, sequence=sequence)], sequence, sequence, DAYS)
        write_segments(storage, EXCHANGE, [exchanged(sequence, sequence=sequence)], sequence, sequence, DAYS)


def verified(storage: LocalStorage, key: SigningKey) -> list[str]:
    """Verify a dataset, and return the days that are being sealed."""
    unfinished: list[str] = []
    assert verify(storage, key.public, unfinished=unfinished.append) == []
    return unfinished


def test_no_step_of_sealing_is_a_fault(tmp_path: Path, key: SigningKey) -> None:
    """Whatever of a day is written, nothing of it is a fault. The day is told until the log covers it."""
    told: list[tuple[str, list[str]]] = []

    class Watched(LocalStorage):
        def write(self, name: str, content: bytes) -> None:
            super().write(name, content)
            told.append((name, verified(LocalStorage(tmp_path), key)))

        def remove(self, name: str) -> None:
            super().remove(name)
            told.append((name, verified(LocalStorage(tmp_path), key)))

    fill(LocalStorage(tmp_path))
    Sealer(Watched(tmp_path), key, DAYS).seal(DAY, SealingContext())
    names = [name for name, _ in told]
    signed = names.index("log/checkpoint")
    assert {name.split("/")[0] for name in names[:signed]} == {"sealed", "log"}
    assert [days for _, days in told] == [[DAY]] * signed + [[]] * (len(told) - signed)
    assert any(name.startswith("open/") for name in names[signed:])


@pytest.mark.parametrize("folder", ["sealed", "open/measurement"])
def test_a_day_that_was_sealed_since_is_no_fault(tmp_path: Path, key: SigningKey, folder: str) -> None:
    """The log is read again when files are there that it did not name at first."""

    class Sealing(LocalStorage):
        ahead = True

        def names(self, listed: str = "") -> list[str]:
            if listed == folder and self.ahead:
                self.ahead = False
                Sealer(LocalStorage(tmp_path), key, DAYS).seal(DAY, SealingContext())
            return super().names(listed)

    fill(LocalStorage(tmp_path))
    LocalStorage(tmp_path).write(f"sealed/kind=measurement/day={DAY}/shard=00.parquet", b"half a day")
    assert verified(Sealing(tmp_path), key) == []


def test_what_no_archive_is_about_to_seal_is_a_fault(tmp_path: Path, key: SigningKey) -> None:
    """Files and a leaf of a day without segments are not of a day that is being sealed; nor are files of a later day."""
    storage = LocalStorage(tmp_path)
    fill(storage)
    inserted = f"sealed/kind=measurement/day={AFTER}/shard=00.parquet"
    storage.write(inserted, b"x")
    assert [fault.file for fault in verify(storage, key.public)] == [inserted]
    Sealer(storage, key, DAYS).seal(DAY, SealingContext())
    assert [fault.file for fault in verify(storage, key.public)] == [inserted]
    storage.remove(inserted)
    storage.write("log/entries/000001.json", Manifest(AFTER, "UTC", 0, 0, ()).leaf())
    assert [fault.reason for fault in verify(storage, key.public)] == ["it is of 1 leaves, and the log has 2"]
    assert len(LogFiles(storage).leaves()) == 2
