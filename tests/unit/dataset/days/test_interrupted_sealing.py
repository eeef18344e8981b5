"""A day whose sealing was interrupted is sealed with the rows that it has then, and no other file stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import StateError
from services.dataset.days import EvidenceDays, Sealer, SealingContext, list_segments, set_aside, verify, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT, measurement_table
from tests.support.cases.datasets.rows import START, batch, measured

DAYS = EvidenceDays("UTC", 3600.0, 300)


class _FullStorage(LocalStorage):
    """A storage that has room for files of evidence, and none for the log."""

    def write(self, name: str, content: bytes) -> None:
        if name.startswith("log/"):
            raise StateError(f"{name} cannot be written: No space left on device")
        super().write(name, content)


def test_no_file_of_an_interrupted_attempt_stays(tmp_path: Path) -> None:
    """Late rows were sealed, the log could not be written, and then the segment of these rows was lost.

    Their file would count in every query over sealed/, and no leaf would name it.
    """
    storage, key = LocalStorage(tmp_path / "dataset"), SigningKey.generate("archive.example")
    write_segments(storage, MEASUREMENT, [measured(1, sequence=1)], 1, 1, DAYS)
    late = measurement_table(batch(2), stored=START + 4 * 3600.0, sequence=2)
    (segment,) = write_segments(storage, MEASUREMENT, [late], 2, 2, DAYS)
    assert segment.late
    full = _FullStorage(tmp_path / "dataset")
    with pytest.raises(StateError, match="No space left"):
        Sealer(full, key, DAYS, tmp_path / "scratch").seal(segment.day, SealingContext())
    assert storage.names("sealed/late") != []
    set_aside(storage, [segment])
    sealer = Sealer(storage, key, DAYS, tmp_path / "scratch")
    sealer.recover()
    assert sealer.due(START + 10 * 86_400.0) == [segment.day]
    sealer.seal(segment.day, SealingContext())
    assert storage.names("sealed/late") == []
    assert len(storage.names("sealed")) == 1
    assert verify(storage, key.public) == []
    assert list_segments(storage, MEASUREMENT) == []
