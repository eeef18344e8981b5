"""A day whose sealing was interrupted is sealed with the rows that it has then, and no other file stays."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from services.core.errors import StateError
from services.dataset.days import EvidenceDays, Sealer, SealingContext, list_segments, set_aside, verify, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage, open_storage
from services.dataset.tables import MEASUREMENT, measurement_table
from tests.support.cases.datasets.beaten import BeatenStorage
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


@pytest.mark.parametrize("same", [False, True])
def test_of_two_archives_that_seal_a_day_at_once_one_wins(tmp_path: Path, *, same: bool) -> None:
    """The first leaf and the files that it names stay. The other archive removes its own, unless they are the same."""
    storage, key = LocalStorage(tmp_path / "dataset"), SigningKey.generate("archive.example")
    (segment,) = write_segments(storage, MEASUREMENT, [measured(1, sequence=1)], 1, 1, DAYS)
    beaten = BeatenStorage(tmp_path / "dataset")

    def win() -> None:
        if not same:
            write_segments(storage, MEASUREMENT, [measured(2, sequence=2)], 2, 2, DAYS)
        Sealer(storage, key, DAYS).seal(segment.day, SealingContext())

    beaten.other = win
    loser = Sealer(beaten, key, DAYS)
    if same:
        loser.seal(segment.day, SealingContext())
    else:
        with pytest.raises(StateError, match=r"entries/000000.json in .* is another leaf by now"):
            loser.seal(segment.day, SealingContext())
    assert verify(storage, key.public) == []
    manifest = loser.latest()
    assert manifest is not None
    assert sorted(file.path for file in manifest.files) == storage.names("sealed")
    assert sum(file.rows for file in manifest.files) == len(measured(1, sequence=1)) * (1 if same else 2)


@pytest.mark.parametrize(("address", "at_once"), [("{}", True), ("memory://{}", False)])
def test_files_that_no_leaf_names_are_removed(tmp_path: Path, address: str, *, at_once: bool) -> None:
    """In a folder they go at once. In an object store they go when the next day is sealed, and at the start."""
    storage, key = open_storage(address.format(tmp_path / "dataset")), SigningKey.generate("archive.example")
    sealer = Sealer(storage, key, DAYS)

    def seal(seed: int) -> str:
        rows = measured(seed, sequence=seed)
        slots = pc.add(rows["slot_start"], pa.scalar(seed * 86_400_000_000, pa.duration("us")))
        stored = pc.add(rows["stored"], pa.scalar(seed * 86_400_000_000, pa.duration("us")))
        for name, values in (("slot_start", slots), ("stored", stored)):
            rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
        (segment,) = write_segments(storage, MEASUREMENT, [rows], seed, seed, DAYS)
        name = f"sealed/kind=measurement/day={segment.day}/shard=00-0123456789abcdef.parquet"
        storage.write(name, b"of another attempt")
        sealer.seal(segment.day, SealingContext())
        return name

    first, second = seal(1), seal(2)
    assert first not in storage.names("sealed")
    assert (second in storage.names("sealed")) is not at_once
    sealer.recover()
    assert verify(storage, key.public) == []
