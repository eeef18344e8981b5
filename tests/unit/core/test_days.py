"""Moments in text, and leap seconds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.core.days import datetime_of


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2016-12-31T23:59:60Z", 0),
        ("2016-12-31T23:59:60.25+00:00", 250_000),
        ("2017-01-01T03:29:60.250000+03:30", 250_000),
        ("2016-12-31 18:59:60-05:00", 0),
        ("2017-01-01T00:00:00Z", 0),
    ],
)
def test_a_leap_second_is_the_second_that_follows_it(text: str, microseconds: int) -> None:
    """Second 60 at the end of a month in UTC is the first second of the next one, whatever the offset."""
    assert datetime_of(text) == datetime(2017, 1, 1, microsecond=microseconds, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-30T23:59:60Z",  # within a month
        "2016-12-31T22:59:60Z",  # within a day
        "2016-12-31T23:59:60+03:30",  # not the end of a month in UTC
        "2016-12-31T23:59:60",  # without an offset
        "2016-12-31T23:60:00Z",
        "2016-12-31T23:59:61Z",
        "2016-12-31T23:59:600Z",
        "9999-12-31T23:59:60Z",
        "CANARY",
    ],
)
def test_another_second_60_is_not_read(text: str) -> None:
    """What is not the end of a month in UTC, and what is no time at all, is refused."""
    with pytest.raises(ValueError, match=r"[a-z]"):
        datetime_of(text)
