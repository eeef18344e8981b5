from __future__ import annotations

from services.collector.replay import Extent, Timeline, timeline

WEEK = 7 * 86_400_000


def test_extent_is_a_function_of_the_records_not_of_their_order():
    """The extent counts records and finds the first and last moment in any order."""
    extent = Extent()
    for moment in (50, 20, 90, 60):
        extent = extent.and_at(moment)
    assert extent == Extent(4, 20, 90)


def test_a_long_log_is_compressed_into_the_seconds_asked_for():
    """The first record falls on now, the last on now + seconds, the middle in the middle."""
    line = timeline(Extent(3, 1000, 1000 + WEEK), 5_000_000, 30)
    assert [line.place(moment) for moment in (1000, 1000 + WEEK // 2, 1000 + WEEK)] == [5_000_000, 5_015_000, 5_030_000]


def test_a_short_log_keeps_its_own_pace():
    """A log shorter than the seconds asked for is shifted and not stretched."""
    line = timeline(Extent(3, 1000, 3000), 5_000_000, 30)
    assert [line.place(moment) for moment in (1000, 1500, 3000)] == [5_000_000, 5_000_500, 5_002_000]


def test_a_log_of_one_moment_or_none_has_a_timeline():
    """Nothing divides by a span of zero."""
    assert timeline(Extent(1, 7, 7), 100, 30).place(7) == 100
    assert timeline(Extent(), 100, 30).place(0) == 100


def test_the_default_timeline_changes_nothing():
    """Without replay, moments stay where they are."""
    assert Timeline().place(1_700_000_000_123) == 1_700_000_000_123
