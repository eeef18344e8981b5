"""Charts draw the numbers that they are given, from the side where reading begins."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from services.console.charts import (
    Bar,
    MatrixCell,
    TrendPoint,
    arrange_matrix,
    bar_chart,
    runs_of,
    scale_chart,
    shade_of,
    strip_chart,
    trend_chart,
    waterfall_chart,
)
from services.console.texts import texts_of
from services.core.model import Indicator, IndicatorKind, Interval, Losses

FIGURE = Indicator(
    kind=IndicatorKind.GOVERNMENT,
    id="",
    window_days=7,
    as_of=0,
    point=0.75,
    lower=0.6,
    upper=0.9,
    known_share=0.7,
    losses=Losses(0.1, 0.05, 0.04, 0.03, 0.03),
    interval=Interval(0.5, 0.95, 0.95),
)
EN, FA = texts_of("en"), texts_of("fa")
_RECT = re.compile(r'<rect x="([\d.]+)%" width="([\d.]+)%"[^>]*class="([^"]*)"')


def _rects(svg: str) -> list[tuple[float, float, str]]:
    return [(float(x), float(width), kind) for x, width, kind in _RECT.findall(svg)]


def test_a_scale_shows_point_bounds_and_interval() -> None:
    """Point, bounds and interval are drawn at their values."""
    svg = scale_chart(EN, FIGURE)
    assert (60.0, 30.0, "bounds") in _rects(svg)
    assert 'cx="75.000%"' in svg
    assert 'x1="50.000%" x2="95.000%"' in svg
    assert "75.0" in svg


def test_a_scale_is_mirrored_in_persian() -> None:
    """0 is on the right, and digits are Persian."""
    svg = scale_chart(FA, FIGURE)
    assert (10.0, 30.0, "bounds") in _rects(svg)
    assert 'cx="25.000%"' in svg
    assert "۷۵٫۰" in svg


def test_below_the_threshold_there_is_no_point() -> None:
    """The bounds are drawn and named, but a point is not."""
    svg = scale_chart(EN, replace(FIGURE, point=None, interval=None))
    assert "<circle" not in svg
    assert "bounds unknown" in svg
    assert "between 60.0% and 90.0%" in svg


def test_a_waterfall_ends_where_the_losses_leave_it() -> None:
    """Each stage begins where the previous one ended, and the rest is the share that was answered."""
    rects = [one for one in _rects(waterfall_chart(EN, FIGURE.losses)) if one[2] != "track"]
    edges = [(round(x, 3), round(x + width, 3)) for x, width, _ in rects]
    assert edges == [(0, 100), (90, 100), (85, 90), (81, 85), (78, 81), (75, 78), (0, 75)]


def test_bars_are_as_long_as_their_shares() -> None:
    """A share that is not stated has no bar, and says so."""
    svg = bar_chart(EN, "t", [Bar("a", 0.4), Bar("b", None), Bar("c", 0.5, "measured", 0.45, 0.6)])
    assert [one for one in _rects(svg) if one[2] != "track"] == [
        (0, 40, "bar plain"),
        (0, 50, "bar measured"),
        (45, 15, "between"),
    ]
    assert "not stated" in svg


def test_a_trend_has_gaps_where_nothing_is_known() -> None:
    """A time without records, and records without a point, interrupt the line. The band continues with the records."""
    hour = 3600
    points = [TrendPoint(hour * n, 0.5 if n != 5 else None, 0.4, 0.6) for n in range(10)]
    points += [TrendPoint(hour * n, 0.5, 0.4, 0.6) for n in range(20, 24)]
    svg = trend_chart(EN, "t", points, 0, 24 * hour)
    assert svg.count('class="line"') == 3
    assert svg.count('class="band"') == 2


def test_time_runs_left_to_right_in_either_language() -> None:
    """A trend is not mirrored."""
    points = [TrendPoint(3600 * n, 0.5, 0.4, 0.6) for n in range(3)]
    lines = {re.search(r'd="(M[^"]*)" class="line"', trend_chart(texts, "t", points, 0, 7200))[1] for texts in (EN, FA)}  # type: ignore[index]
    assert lines == {"M0.0 50.00L500.0 50.00L1000.0 50.00"}


def test_a_single_record_can_be_seen() -> None:
    """One point is a dot."""
    svg = trend_chart(EN, "t", [TrendPoint(7200, 0.5, 0.4, 0.6)], 0, 7200)
    assert 'cx="100.00%"' in svg


def test_runs_join_equal_slots() -> None:
    """Consecutive slots with the same verdict and reason are one run; a missing slot ends it."""
    slots = [(0, "ok", "ok"), (300, "ok", "ok"), (600, "late", "late"), (1200, "late", "late")]
    assert [(run.start, run.end, run.slots) for run in runs_of(slots, 300)] == [
        (0, 600, 2),
        (600, 900, 1),
        (1200, 1500, 1),
    ]


def test_a_strip_names_each_piece() -> None:
    """Every piece is as wide as its time and has a name; names are escaped."""
    svg = strip_chart(EN, "<t>", runs_of([(0, "ok", "ok"), (300, "ok", "ok"), (600, "not_connected", "<x>")], 300))
    assert re.findall(r'<rect x="[\d.]+%" width="([\d.]+)%"', svg) == ["66.667", "33.333"]
    assert svg.count("<title>") == 2
    assert "<x>" not in svg


def test_a_strip_of_days_says_which_day_it_ends() -> None:
    """Both ends of a long strip, and the end of a piece that ends on another day, are named with their day."""
    svg = strip_chart(EN, "t", runs_of([(slot * 3600, "ok", "ok") for slot in range(48)], 3600))
    assert "<title>1 January 1970, 00:00 to 3 January 1970, 00:00: Answered" in svg
    assert re.findall(r'<text[^>]*class="tick"[^>]*>([^<]*)<', svg) == [
        "1 January 1970, 00:00",
        "3 January 1970, 00:00",
    ]
    assert "<title>1 January 1970, 00:00 to 01:00: " in strip_chart(EN, "t", runs_of([(0, "ok", "ok")], 3600))


@pytest.mark.parametrize(
    ("point", "shade"),
    [(None, "unknown"), (0.0, "s0"), (0.5, "s1"), (0.8, "s2"), (0.95, "s3"), (0.99, "s4"), (1, "s4")],
)
def test_shades(point: float | None, shade: str) -> None:
    """A cell's shade changes at the edges that the page names."""
    assert shade_of(point) == shade


def test_a_matrix_has_the_order_asked_for_on_both_sides() -> None:
    """Rows and columns have one order. An agency that asks nobody has no row, and one that answers nobody no column."""
    cell = MatrixCell("b", "a", 0.5, 0.5, 0.5, 1, 0)
    matrix = arrange_matrix([cell, replace(cell, consumer="c", provider="b")], ["c", "b", "a"])
    assert matrix.columns == ("b", "a")
    assert [(line.consumer, [bool(one) for one in line.cells]) for line in matrix.lines] == [
        ("c", [True, False]),
        ("b", [False, True]),
    ]


@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        (0, 7200, ["00:00", "1 January 1970", "02:00"]),
        (43_200, 129_600, ["1 January 1970, 12:00", "2 January 1970, 12:00"]),
        (0, 4 * 86_400, ["1 January 1970", "3 January 1970", "5 January 1970"]),
    ],
)
def test_a_time_axis_names_what_a_phone_has_room_for(start: int, end: int, names: list[str]) -> None:
    """Within a day the axis names times around the day, over a few days both at its ends, and beyond that days."""
    svg = trend_chart(EN, "t", [TrendPoint(start, 0.5, 0.4, 0.6), TrendPoint(end, 0.5, 0.4, 0.6)], start, end)
    assert [text for text in re.findall(r">([^<>]+)</text>", svg) if "%" not in text] == names
