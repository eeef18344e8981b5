from __future__ import annotations

import pytest

from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.summary import SummaryCounts, bucket_of, to_summary
from services.collector.records.xroad import read_side
from services.core.model.exchange import DURATION_BUCKETS


@pytest.mark.parametrize(
    ("duration", "bucket"),
    [
        (0, 0),
        (1, 0),
        (2, 2),
        (3, 4),
        (4, 4),
        (1024, 20),
        (1025, 21),
        (1 << 19, 38),
        ((1 << 19) + 1, 39),
        (10**9, 39),
    ],
)
def test_buckets_are_bounded_by_powers_of_the_square_root_of_two(duration, bucket):
    """A duration falls into the first bucket whose bound 2^(i/2) ms it does not exceed; the last is open."""
    assert bucket_of(duration) == bucket
    assert DURATION_BUCKETS == 40


def exchanges_of(*records):
    return pair_sides([read_side(record) for record in records], 10_000)


def test_a_summary_counts_one_pair(raw, both):
    """Each count of a summary is what its exchanges add up to."""
    failed = raw(succeeded=False, requestInTs=1_700_000_000_100)
    counts = SummaryCounts()
    for exchange in (*exchanges_of(*both()), *exchanges_of(failed), *exchanges_of(raw(statusCode=500))):
        counts.take(exchange, 1)
    parties = read_side(raw()).parties
    found = to_summary(parties, 1_699_999_800, 7, counts)
    assert (found.client, found.service, found.slot_start, found.revision) == (
        parties.client,
        parties.service,
        1_699_999_800,
        7,
    )
    assert (found.count, found.ok, found.bus_failures, found.provider_failures, found.orphans) == (3, 1, 1, 1, 2)
    assert (found.request_bytes, found.response_bytes) == (900, 2700)
    assert (found.skew_ms_sum, found.skew_count, found.duration_ms_sum) == (5.0, 1, 120.0 + 20.0 + 120.0)
    assert {bucket: count for bucket, count in enumerate(found.duration_buckets) if count} == {9: 1, 14: 2}


def test_taking_back_is_the_inverse_of_adding(raw, both):
    """Counts from which everything was subtracted are empty, half milliseconds of skew included."""
    ours, theirs = both()
    theirs["responseOutTs"] += 1
    counts = SummaryCounts()
    for sign in (1, -1):
        assert bool(counts) == (sign < 0)
        for exchange in (*exchanges_of(ours, theirs), *exchanges_of(raw())):
            counts.take(exchange, sign)
    assert not counts
