"""An unused link is called silent only where the use of other links and its own past allow it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.indicator.exchanges.silence import SILENCE_DAYS, judge_silence


def days(*rows: str) -> NDArray[np.bool_]:
    """Return a row of days for each link, where `x` is a day with use and `.` one without."""
    return np.array([[day == "x" for day in row] for row in rows])


def test_nobody_is_silent_before_a_week_was_read() -> None:
    """Six days show no silence and give no estimated share."""
    found = judge_silence(np.array([[True] * (SILENCE_DAYS - 1), [False] * (SILENCE_DAYS - 1)]), 0)
    assert not found.silent.any()
    assert found.unseen is None


def test_silence_beside_links_that_are_used_every_day_is_told() -> None:
    """Where all links in use were seen repeatedly, a link that was never seen is silent. One seen once is not."""
    found = judge_silence(days(*["xxxxx.."] * 10, "x..x...", "..x.x..", "......."), 0)
    assert found.silent.tolist() == [False] * 12 + [True]
    assert found.unseen == 0.0


def test_silence_beside_links_that_are_hardly_used_is_not() -> None:
    """If ten links were seen on one day each and none on two, many more may be unseen, so no link is silent."""
    found = judge_silence(days(*["x......"] * 10, "......."), 0)
    assert not found.silent.any()
    assert found.unseen == pytest.approx(6 / 7 * 55 / (6 / 7 * 55 + 10))


def test_a_link_with_a_past_is_judged_by_it() -> None:
    """A link used on most days before has fallen silent. One used once in a while has not, whatever others do."""
    often, seldom = "xxxxx.." * 4 + "." * 7, "x" + "." * 34
    found = judge_silence(days(*["xxxxx.." * 5] * 20, often, seldom), 28)
    assert found.silent.tolist() == [False] * 20 + [True, False]


def test_a_holiday_is_no_silence() -> None:
    """In a week with little work, links that were used on most days before are not silent."""
    often, working = "xxxxx.." * 4, "xxxxx.."
    holiday = judge_silence(days(*[often + "x......"] * 2, *[often + "." * 7] * 18), 28)
    assert not holiday.silent.any()
    usual = judge_silence(days(*[often + working] * 18, *[often + "." * 7] * 2), 28)
    assert usual.silent.tolist() == [False] * 18 + [True] * 2


def test_a_bus_without_any_use_tells_of_nobody() -> None:
    """Without any exchange no link is silent, because the logs are missing."""
    assert not judge_silence(np.zeros((3, 9), np.bool_), 2).silent.any()
    past = np.zeros((3, 9), np.bool_)
    past[:, :2] = True
    assert not judge_silence(past, 2).silent.any()
