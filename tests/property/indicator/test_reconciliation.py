"""Probes compared with logs, and volumes over weeks, equal a brute force and ignore what must not matter."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.indicator.calendar import Calendar
from services.indicator.exchanges.agreement import HourlyCounts, compare_hours
from services.indicator.exchanges.volume import VolumeChange, volume_change

SEEDS = st.integers(0, 2**32 - 1)


def some_hours(seed: int, days: int = 9, links: int = 3) -> HourlyCounts:
    """Return hours of links with all that can occur: nights without traffic, hours not probed, whole outages."""
    rng = np.random.default_rng(seed)
    shape = links, days * 24 - int(rng.integers(0, 24))
    exchanges = rng.poisson(rng.choice([0.0, 1.0, 30.0], shape))
    known = rng.choice([0, 6, 12], shape)
    up = np.repeat(rng.random((links, days)) < 0.8, 24, axis=1)[:, : shape[1]]
    return HourlyCounts(exchanges, rng.binomial(exchanges, 0.9 * up), known, rng.binomial(known, 0.95 * up))


def brute(hours: HourlyCounts, link: int) -> tuple[Fraction, float]:
    """Return the difference of one link, and its variance by days, hour by hour in exact rationals."""
    days: dict[int, list[Fraction]] = {}
    for hour in range(hours.exchanges.shape[1]):
        n, ok, known, answered = (
            int(row[link, hour]) for row in (hours.exchanges, hours.ok, hours.known, hours.answered)
        )
        if n and known:
            day = days.setdefault(hour // 24, [Fraction(0), Fraction(0)])
            day[0] += ok - n * Fraction(answered, known)
            day[1] += n
    total = sum((n for _, n in days.values()), Fraction(0)) or Fraction(1)
    ratio = sum((x for x, _ in days.values()), Fraction(0)) / total
    rest = {day: x - ratio * n for day, (x, n) in days.items()}
    beside = sum((rest[day] * rest.get(day + 1, Fraction(0)) for day in rest), Fraction(0))
    used = max(len(days), 2)
    squares = sum((one**2 for one in rest.values()), Fraction(0))
    return ratio, float((Fraction(used, used - 1) * squares + 2 * max(beside, Fraction(0))) / total**2)


@settings(max_examples=50)
@given(SEEDS)
def test_difference_equals_brute_force(seed: int) -> None:
    """The difference is exact, and its bounds are at least as wide as its variance requires."""
    hours = some_hours(seed)
    found = compare_hours(hours)
    for link in range(3):
        difference, variance = brute(hours, link)
        assert abs(found.difference[link] - float(difference)) < 1e-12
        low, high = found.difference_low[link], found.difference_high[link]
        reach = 3.29 * np.sqrt(variance)  # the normal quantile; Student's are larger
        assert low <= max(-1.0, float(difference) - reach)
        assert high >= min(1.0, float(difference) + reach)


@settings(max_examples=50)
@given(SEEDS)
def test_intervals_hold_what_was_seen(seed: int) -> None:
    """0 ≤ low ≤ share ≤ high ≤ 1 on both sides; a link disagrees only if the difference's bounds exclude 0."""
    found = compare_hours(some_hours(seed))
    for bounds in (found.logs, found.probes):
        assert (bounds.low >= 0).all()
        assert (bounds.high <= 1).all()
        assert (bounds.low <= bounds.loss).all()
        assert (bounds.loss <= bounds.high).all()
    outside = (found.difference_low > 0) | (found.difference_high < 0)
    assert (found.disagrees == (found.sufficient & outside)).all()


@settings(max_examples=50)
@given(SEEDS)
def test_links_are_judged_by_themselves(seed: int) -> None:
    """A link's result is the same alone, and hours with only one of the two sides change nothing."""
    hours = some_hours(seed)
    alone = HourlyCounts(hours.exchanges[1:2], hours.ok[1:2], hours.known[1:2], hours.answered[1:2])
    unprobed = alone.known == 0
    changed = replace(alone, exchanges=alone.exchanges + 7 * unprobed)
    whole = compare_hours(hours)
    for found in (compare_hours(alone), compare_hours(changed)):
        assert found.difference[0] == whole.difference[1]
        assert found.difference_low[0] == whole.difference_low[1]
        assert found.logs.high[0] == whole.logs.high[1]
        assert found.disagrees[0] == whole.disagrees[1]


@settings(max_examples=50)
@given(SEEDS)
def test_what_agrees_is_never_flagged(seed: int) -> None:
    """If the same share succeeds on both sides in every hour, there is no difference and no flag."""
    rng = np.random.default_rng(seed)
    answered = rng.integers(0, 13, (2, 28 * 24))
    exchanges = 12 * rng.poisson(3, answered.shape)
    found = compare_hours(HourlyCounts(exchanges, exchanges // 12 * answered, np.full_like(answered, 12), answered))
    assert np.abs(found.difference).max() < 1e-12
    assert not found.disagrees.any()


def test_real_calls_that_fail_behind_answered_probes_are_flagged() -> None:
    """If a tenth of real exchanges fails while every probe is answered, a week shows it; too little data shows nothing."""
    busy = np.tile(np.where(np.arange(24) // 8 == 1, 40, 2), 7)[None, :]
    all_known = np.full_like(busy, 12)
    found = compare_hours(HourlyCounts(busy, busy - busy // 10 - (busy == 2), all_known, all_known))
    assert found.sufficient.all()
    assert found.disagrees.all()
    short = compare_hours(HourlyCounts(busy[:, :72], np.zeros_like(busy[:, :72]), all_known[:, :72], all_known[:, :72]))
    assert not short.sufficient.any()
    assert not short.disagrees.any()


def weeks(number: int, level: float = 100.0) -> np.ndarray:
    """Return the same week again and again, with nights and weekends, up to the last hour."""
    hour = np.arange(number * 168)
    busy = np.where(hour % 24 // 8 == 1, 1.0, 0.2) * np.where(hour // 24 % 7 >= 5, 0.3, 1.0)
    return np.rint(level * busy).astype(np.int64)[None, :]


def by_hours_of_utc(counts: np.ndarray) -> VolumeChange:
    """Return the change of volume where clocks never change."""
    return volume_change(counts, np.arange(counts.shape[1]))


def test_the_same_week_again_is_expected() -> None:
    """Nights and weekends that recur are expected and are no trend, at whatever hour one looks."""
    counts = weeks(6)
    for end in range(5 * 168, 6 * 168, 5):
        found = by_hours_of_utc(counts[:, :end])
        assert found.expected[0] == found.seen[0]
        assert abs(found.trend[0]) < 1e-9


MOST_MADE_UP = 3
"""Exchanges that a skipped or repeated hour may add to six hours when clocks change: those of an hour of the night."""


def office(zone: str, start: datetime, number: int, level: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Return weeks of exchanges in office hours of a zone, by hours of UTC, and the local hour of each."""
    hours = range(int(start.timestamp()) // 3600, int(start.timestamp()) // 3600 + number * 168)
    clock = Calendar(zone, 0.0, 300).local_hours(hours)
    busy = (clock % 24 // 8 == 1) & (clock // 24 % 7 != 1)  # 1970-01-01 was a Thursday
    return np.where(busy, level, 1.0 + clock % 3)[None, :].astype(np.int64), clock


@pytest.mark.parametrize("start", [datetime(2026, 2, 23, tzinfo=UTC), datetime(2026, 9, 21, tzinfo=UTC)])
def test_a_change_of_clocks_is_expected(start: datetime) -> None:
    """Office hours by the local clock are expected in the weeks after a change of clocks in either direction, and are
    no trend; by hours of UTC they are not expected. What is seen is never made up.
    """
    counts, clock = office("Europe/London", start, 10)
    fooled = 0
    for end in range(4 * 168, 10 * 168):
        found = volume_change(counts[:, :end], clock[:end])
        assert found.seen[0] == counts[0, end - 6 : end].sum()
        assert np.isnan(found.expected[0]) or abs(found.expected[0] - found.seen[0]) <= MOST_MADE_UP
        assert abs(found.trend[0]) < 1e-9
        by_hour = by_hours_of_utc(counts[:, :end])
        fooled += abs(by_hour.expected[0] - by_hour.seen[0]) > MOST_MADE_UP
    assert fooled > 100


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tehran"])
def test_clocks_that_do_not_change_make_no_difference(zone: str) -> None:
    """In a zone whose clocks do not change, even half an hour off, results equal those by hours of UTC to the last bit."""
    counts, clock = office(zone, datetime(2026, 1, 5, tzinfo=UTC), 8)
    counts = np.random.default_rng(5).poisson(counts)
    by_clock, by_hour = volume_change(counts, clock), by_hours_of_utc(counts)
    for one, other in zip(astuple(by_clock), astuple(by_hour), strict=True):
        assert one.tobytes() == other.tobytes()


@settings(max_examples=30)
@given(SEEDS, st.floats(-0.3, 0.5))
def test_trend_is_found_among_outages(seed: int, growth: float) -> None:
    """Weekly growth is found to a percent although some days are lost, and each pair is judged by itself."""
    rng = np.random.default_rng(seed)
    counts = np.rint(weeks(8, 5e4) * (1 + growth) ** (np.arange(8 * 168) // 168)).astype(np.int64)
    lost = rng.choice(56, 4, replace=False)
    counts.reshape(56, 24)[lost] = 0
    both = np.concatenate([counts, rng.poisson(5, counts.shape)])
    found = by_hours_of_utc(both)
    assert abs(found.trend[0] - growth) < 0.01
    assert found.trend[0] == by_hours_of_utc(counts).trend[0]


def test_too_little_is_not_expected() -> None:
    """Under three weeks there is no expectation, under two no trend."""
    young = by_hours_of_utc(weeks(2)[:, 1:])
    assert np.isnan(young.expected).all()
    assert np.isnan(young.trend).all()
    assert not np.isnan(by_hours_of_utc(np.zeros((1, 6 * 168), np.int64)).expected).any()
