"""Only the newest segments are read to find damage, and the dataset is whole up to the damaged one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.dataset.days import (
    DamagedSegmentError,
    EvidenceDays,
    before_damage,
    check_counts,
    counted,
    damaged_segments,
    list_segments,
    seems_whole,
    write_segments,
)
from services.dataset.positions import ArchivedUpTo, MissingMessages
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT
from tests.support.cases.datasets.rows import SLOT, STORED, measured

_ARCHIVED = ArchivedUpTo(MEASUREMENT.stream, "then", 12, float(STORED))
_DAYS = EvidenceDays("UTC", 1800.0, SLOT)


class _Counting(LocalStorage):
    """A folder that counts its reads."""

    reads = 0

    def read(self, name: str) -> bytes:
        self.reads += 1
        return super().read(name)


@pytest.fixture
def storage(tmp_path: Path) -> _Counting:
    """Twelve segments of one message each. The third is damaged."""
    storage = _Counting(tmp_path)
    for number in range(1, 13):
        write_segments(storage, MEASUREMENT, [measured(number, sequence=number)], number, number, _DAYS)
    third = list_segments(storage, MEASUREMENT)[2].name
    storage.write(third, storage.read(third)[:-40])
    storage.reads = 0
    return storage


@pytest.mark.parametrize(("newest", "whole"), [(5, True), (9, True), (10, False), (60, False)])
def test_a_start_reads_the_newest_segments_only(storage: _Counting, newest: int, *, whole: bool) -> None:
    """However many segments exist, startup reads only the newest and does not look for damage in older ones."""
    assert seems_whole(storage, [MEASUREMENT], _ARCHIVED, newest=newest) is whole
    assert storage.reads <= newest


def test_a_segment_that_is_gone_is_noticed_without_reading_all(storage: _Counting) -> None:
    """A missing segment is noticed, because the position holds the number of segments."""
    segments = list_segments(storage, MEASUREMENT)
    archived = replace(_ARCHIVED, segments=counted(segments))
    assert seems_whole(storage, [MEASUREMENT], archived, newest=5)
    check_counts(storage, [MEASUREMENT], archived)
    storage.remove(segments[4].name)
    assert not seems_whole(storage, [MEASUREMENT], archived, newest=5)
    with pytest.raises(DamagedSegmentError, match=f"open/{segments[4].group}, where 1 of 12 are missing"):
        check_counts(storage, [MEASUREMENT], archived)


def test_all_segments_are_read_where_one_is_known_to_be_damaged(storage: _Counting) -> None:
    """The dataset is whole up to the message before the damaged segment."""
    third = list_segments(storage, MEASUREMENT)[2].name
    archived, damaged = before_damage(storage, [MEASUREMENT], _ARCHIVED)
    assert (archived.sequence, damaged, storage.reads) == (2, (third,), 12)


def test_a_gap_after_a_damaged_segment_is_noted_when_it_is_read_again(storage: _Counting) -> None:
    """Gaps after the damaged segment will be found again. Those before it stay, and those from before the stream began again."""
    moment = float(STORED)
    before, after, former = (MissingMessages(number, number, moment, moment) for number in (1, 7, 900))
    again = MissingMessages(950, 0, moment, moment)
    for gaps, kept in (((before, before, after), (before,)), ((former, again, before, after), (former, again, before))):
        archived, _ = before_damage(storage, [MEASUREMENT], replace(_ARCHIVED, gaps=gaps))
        assert archived.gaps == kept


def test_messages_that_two_archives_wrote_are_all_read_again(tmp_path: Path) -> None:
    """No segment that reading again replaces has messages before the position, also where only one archive had rows of a day."""
    storage = LocalStorage(tmp_path)
    next_day = EvidenceDays("Pacific/Kiritimati", 1800.0, SLOT)
    spans = [(1, 4, _DAYS), (5, 6, _DAYS), (7, 9, _DAYS), (10, 12, _DAYS), (6, 8, next_day)]
    for first, last, days in spans:
        write_segments(storage, MEASUREMENT, [measured(first, sequence=first)], first, last, days)
    assert seems_whole(storage, [MEASUREMENT], _ARCHIVED, newest=60)
    write_segments(storage, MEASUREMENT, [measured(9, sequence=9)], 9, 10, _DAYS)
    assert not seems_whole(storage, [MEASUREMENT], _ARCHIVED, newest=60)
    archived, named = before_damage(storage, [MEASUREMENT], _ARCHIVED)
    assert archived.sequence == 4
    assert [Path(name).name for name in named] == [f"{7:012}-{9:012}.parquet", f"{9:012}-{10:012}.parquet"]


def test_a_message_counts_once_where_segments_repeat_it(tmp_path: Path) -> None:
    """Segments that repeat messages of an earlier one count as damaged, also where another stands between the two."""
    storage = LocalStorage(tmp_path)
    for first, last in ((1, 9), (2, 3), (5, 6), (10, 12), (12, 14)):
        write_segments(storage, MEASUREMENT, [measured(first, sequence=first)], first, last, _DAYS)
    repeated = [(one.first, one.last) for one in damaged_segments(storage, [MEASUREMENT])]
    assert repeated == [(2, 3), (5, 6), (12, 14)]
