"""Rows of a day in shards are the same wherever they waited, and each link is in one shard."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from services.core.errors import StateError
from services.dataset.days import shards
from services.dataset.days.shards import Shards, part_of
from services.dataset.tables import EXCHANGE, MEASUREMENT, Kind, content_hash, sorted_rows
from tests.support.cases.datasets.rows import exchanged, measured

ROWS = {
    MEASUREMENT: [measured(n, sequence=n) for n in range(1, 30)],
    EXCHANGE: [exchanged(n, sequence=n) for n in range(1, 30)],
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits, so that a few rows count as many."""
    monkeypatch.setattr(shards, "_SHARD_ROWS", 30)
    monkeypatch.setattr(shards, "_HELD_ROWS", 50)


def taken(kind: Kind, folder: Path) -> dict[int, pa.Table]:
    cut = Shards(kind, folder)
    for table in ROWS[kind]:
        cut.add(table)
    return dict(cut.take())


def test_few_rows_are_one_shard_and_touch_no_disk(tmp_path: Path) -> None:
    """The rows of a small installation make one shard, and nothing is written to the folder."""
    assert list(taken(MEASUREMENT, tmp_path / "nowhere")) == [0]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", list(ROWS), ids=lambda kind: kind.name)
def test_many_rows_are_cut_by_what_they_are_about(kind: Kind, tmp_path: Path) -> None:
    """Every row is in the shard of its texts. All shards are sorted, no row is lost, and no file is left behind."""
    found = taken(kind, tmp_path)
    assert len(found) > 1
    assert set(found) <= set(range(256))
    for table in found.values():
        assert content_hash(table, kind) == content_hash(sorted_rows([table], kind), kind)
    whole = sorted_rows(ROWS[kind], kind)
    assert content_hash(sorted_rows(list(found.values()), kind), kind) == content_hash(whole, kind)
    shard_of = {part: shard for shard, table in found.items() for part in set(part_of(table, kind).tolist())}
    assert sum(len(set(part_of(table, kind).tolist())) for table in found.values()) == len(shard_of)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The error says in one sentence where a day could not be sorted."""
    with pytest.raises(StateError, match="gone cannot be written, to sort a day: No such file or directory"):
        taken(MEASUREMENT, tmp_path / "gone")
