"""Times of the register."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.register.reading import read_moment


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "۲۰۱۷-۰۱-۰۱T۰۳:۲۹:۶۰+۰۳:۳۰", "2016-12-31 23:59:60.000z"])
def test_a_leap_second_is_the_second_that_follows_it(text: str) -> None:
    """A time in second 60 at the end of a month in UTC is read, in any digits; any other second 60 does not exist."""
    zone = ZoneInfo("Asia/Tehran")
    assert read_moment(text, zone) == datetime(2017, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not exist in the calendar"):
        read_moment("2016-12-31T22:59:60Z", zone)
