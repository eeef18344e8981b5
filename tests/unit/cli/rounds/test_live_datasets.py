"""A dataset is verified and frozen while its archive seals another day."""

from __future__ import annotations

from pathlib import Path

from services.cli.rounds.evidence import copy_sealed
from services.dataset.days import LogFiles, Manifest, verify
from services.dataset.log import LogProof, SigningKey
from services.dataset.storage import LocalStorage

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


def seal(dataset: LocalStorage, key: SigningKey, day: str) -> bytes:
    leaf = Manifest(day, "UTC", 0, 0, ()).leaf()
    LogFiles(dataset).append(leaf, key)
    return leaf


class Sealing(LocalStorage):
    """A dataset whose archive seals a day between two reads of somebody else."""

    def __init__(self, folder: Path, name: str, key: SigningKey, day: str) -> None:
        super().__init__(folder)
        self._name, self._key, self._day = name, key, day

    def read(self, name: str) -> bytes:
        content = super().read(name)
        if name == self._name and self._day:
            day, self._day = self._day, ""
            seal(self, self._key, day)
        return content


def test_a_day_that_is_sealed_meanwhile_is_no_fault(tmp_path: Path) -> None:
    """The leaves and the checkpoint are of one moment, whichever of them a new day comes before."""
    key, folder = SigningKey.generate("archive.example"), tmp_path / "dataset"
    first, *_ = (seal(LocalStorage(folder), key, day) for day in DAYS)
    for name, day in (("log/entries/000002.json", "2026-01-04"), ("log/checkpoint", "2026-01-05")):
        assert verify(Sealing(folder, name, key, day), key.public) == []
    for name, day in (("log/entries/000002.json", "2026-01-06"), ("log/checkpoint", "2026-01-07")):
        target = LocalStorage(tmp_path / day)
        copied, around = copy_sealed(Sealing(folder, name, key, day), target, DAYS, key.public)
        assert ([one.day for one in copied], around) == ([*DAYS], ())
        proof = LogProof.parse(target.read(f"evidence/days/{DAYS[0]}.tlog-proof").decode())
        assert proof.faults(first, [key.public]) == []
