from __future__ import annotations

from dataclasses import replace

from services.collector.records.batch import RecordBatch, Reject, SourcePosition
from services.collector.records.timeline import LogExtent, PacedBatches, ReplayTimeline
from services.collector.records.xroad import read_side

WEEK = 7 * 86_400_000


def test_extent_is_a_function_of_the_records_not_of_their_order():
    """The extent counts records and finds the first and last moment in any order."""
    extent = LogExtent()
    for moment in (50, 20, 90, 60):
        extent = extent.including(moment)
    assert extent == LogExtent(4, 20, 90)


def test_a_long_log_is_compressed_into_the_given_seconds():
    """The first record falls on now, the last on now + seconds, the middle in the middle."""
    line = ReplayTimeline.over(LogExtent(3, 1000, 1000 + WEEK), 5_000_000, 30)
    assert [line.place(moment) for moment in (1000, 1000 + WEEK // 2, 1000 + WEEK)] == [5_000_000, 5_015_000, 5_030_000]


def test_a_short_log_keeps_its_own_pace():
    """A log shorter than the seconds asked for is shifted and not stretched."""
    line = ReplayTimeline.over(LogExtent(3, 1000, 3000), 5_000_000, 30)
    assert [line.place(moment) for moment in (1000, 1500, 3000)] == [5_000_000, 5_000_500, 5_002_000]


def test_a_log_of_one_moment_or_none_has_a_timeline():
    """A span of zero causes no division by zero."""
    assert ReplayTimeline.over(LogExtent(1, 7, 7), 100, 30).place(7) == 100
    assert ReplayTimeline.over(LogExtent(), 100, 30).place(0) == 100


def test_the_default_timeline_changes_nothing():
    """Without replay, moments stay where they are."""
    assert ReplayTimeline().place(1_700_000_000_123) == 1_700_000_000_123


def small(raw, *moments):
    return [
        RecordBatch((read_side(raw(requestInTs=m, responseOutTs=m, xRequestId=f"x-{m}")),), (), SourcePosition(m, n))
        for n, m in enumerate(moments, 1)
    ]


def due(batch):
    return max((side.request_in for side in batch.sides), default=0)


def moments_of(batch):
    return [side.request_in - START for side in batch.sides]


START = 1_700_000_000_000


def test_batches_that_are_due_are_joined_and_others_wait_their_turn(raw):
    """Batches due by now are joined into one with the last position. Later ones come alone and are never lost."""
    paced = PacedBatches(iter(small(raw, *(START + n for n in (10, 20, 30, 40)))), due, most=100)
    first = paced.take(START + 25)
    assert first is not None
    assert (moments_of(first), first.position.line) == ([10, 20], 2)
    assert moments_of(paced.take(START + 25)) == [30]
    assert moments_of(paced.take(START + 99)) == [40]
    assert paced.take(START + 99) is None


def test_a_joined_batch_has_its_limit(raw):
    """A backlog is taken in batches of the given size."""
    paced = PacedBatches(iter(small(raw, *(START + n for n in range(5)))), due, most=2)
    sizes = []
    while (batch := paced.take(START + 99)) is not None:
        sizes.append(len(batch.sides))
    assert sizes == [2, 2, 1]


def test_a_batch_of_bad_lines_alone_is_due_at_once():
    """Unreadable lines have no time; they delay nothing and keep their position."""
    bad = RecordBatch((), (Reject(1, 1, 3, "it is not JSON"),), SourcePosition(4, 1))
    paced = PacedBatches(iter([bad, replace(bad, position=SourcePosition(8, 2))]), due, most=100)
    joined = paced.take(START)
    assert joined is not None
    assert (len(joined.rejects), joined.position) == (2, SourcePosition(8, 2))
