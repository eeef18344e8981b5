"""The age of data is read from times within a leap second."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.prober.checks.freshness import parse_moment

TEHRAN = ZoneInfo("Asia/Tehran")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),  # RFC 3339 §5.8
        ("2017-01-01T03:29:60+03:30", datetime(2017, 1, 1, tzinfo=UTC)),
        ("۱۳۹۵/۱۰/۱۲ ۰۳:۲۹:۶۰", datetime(2017, 1, 1, tzinfo=UTC)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", datetime(2017, 1, 1, tzinfo=UTC)),
        ("Sat Dec 31 23:59:60 2016", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2026-02-28T23:59:60Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-11-24T12:30:60Z", None),
        ("2026-11-24T23:59:60Z", None),
        ("2016-12-31T23:58:60Z", None),
        ("2016-12-31T23:59:61Z", None),
        ("2016-12-31T23:59:60+03:30", None),
        ("Tue, 24 Nov 2026 12:59:60 GMT", None),
        ("9999-12-31T23:59:60Z", None),
    ],
)
def test_a_leap_second_is_read_as_the_following_second(value: str, expected: datetime | None) -> None:
    """Second 60 is read where a leap second may be, at the end of a month in UTC, and nowhere else."""
    assert parse_moment(value, TEHRAN) == (expected.timestamp() if expected else None)
