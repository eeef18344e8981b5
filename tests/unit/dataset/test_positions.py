"""Positions in the dataset are as they were written, or named as damaged."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from services.core.canonical_json import canonical_json
from services.core.errors import StateError
from services.dataset.positions import ArchivedUpTo, MissingMessages, SegmentCount, read_position, write_position
from services.dataset.storage import Storage, open_storage
from services.dataset.tables import MEASUREMENT

_NAME = "open/measurement.json"
_POSITION = ArchivedUpTo(
    stream="MEASUREMENTS",
    created="2026-11-27T08:00:00.123456789Z",
    sequence=1034,
    stored=1795780800.25,
    generation=1,
    gaps=(MissingMessages(7, 9, 1795780000.0, 1795780010.5),),
    segments={"measurement/2026-11-27": SegmentCount(12, 40)},
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A dataset with the position of one kind."""
    dataset = open_storage(str(tmp_path))
    write_position(dataset, MEASUREMENT, _POSITION)
    return dataset


def test_a_position_is_read_as_it_was_written(storage: Storage) -> None:
    """All of its parts come back."""
    assert read_position(storage, MEASUREMENT) == _POSITION


def test_no_flipped_bit_moves_a_position(storage: Storage) -> None:
    """A changed digit would move reading or reword a gap: no damage of one bit is read as another position."""
    content = storage.read(_NAME)
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        storage.write(_NAME, bytes(damaged))
        with pytest.raises(StateError, match=re.escape("open/measurement.json")):
            read_position(storage, MEASUREMENT)


def test_a_position_of_a_newer_version_is_refused(storage: Storage) -> None:
    """The sentence says that a newer version wrote it, not that it is damaged."""
    fields = json.loads(storage.read(_NAME)) | {"format": 2}
    del fields["checksum"]
    storage.write(_NAME, json.dumps(fields | {"checksum": sha256(canonical_json(fields)).hexdigest()}).encode())
    with pytest.raises(StateError, match=re.escape("a newer version of Peyvand wrote open/measurement.json")):
        read_position(storage, MEASUREMENT)
