from __future__ import annotations

import pytest

from services.collector.ledger.exchange_sums import Counted, sum_exchanges
from services.collector.ledger.sides import packed
from services.collector.ledger.summary import to_summary
from services.collector.records.xroad import read_side
from services.core.model.exchange import DURATION_BUCKETS


def counted(*records, sign=1):
    """Return one request with these records, all of one pair."""
    return Counted(b"".join(packed(read_side(record), 1) for record in records), sign, repeated=False)


def sums_of(*requests):
    """Return the counts that requests add to the summary of their one pair and slot."""
    (found,) = sum_exchanges(requests, 10_000, lambda moments: moments * 0).values()
    return found


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
def test_buckets_are_bounded_by_powers_of_the_square_root_of_two(raw, duration, bucket):
    """A duration falls into the first bucket whose bound 2^(i/2) ms it does not exceed; the last is open."""
    found = sums_of(counted(raw(1_700_000_000_000, responseOutTs=1_700_000_000_000 + duration)))
    assert [at for at, count in enumerate(found.buckets) if count] == [bucket]
    assert DURATION_BUCKETS == 40


def test_a_summary_counts_one_pair(raw, both):
    """Each count of a summary is the sum over its exchanges."""
    failed = raw(succeeded=False, requestInTs=1_700_000_000_100)
    counts = sums_of(counted(*both()), counted(failed), counted(raw(statusCode=500)))
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
    added = [counted(ours, theirs), counted(raw())]
    assert sums_of(*added)
    assert not sums_of(*added, counted(ours, theirs, sign=-1), counted(raw(), sign=-1))
