"""Draws an index over time, with its bounds as a band and a gap where it is unknown.

Time runs from left to right in every language.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup

from services.console.charts.svg import element, picture
from services.console.charts.time_axis import time_axis
from services.console.texts import Texts

_HEIGHT, _TOP, _BOTTOM = 220.0, 14.0, 34.0
_LEAST_SPAN = 0.2
"""The least span of the axis, so that a tenth of a percent does not look like a collapse."""

_GAP_STEPS = 3
"""Points further apart than this many usual steps are not joined."""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One published index; ``moment`` in epoch seconds."""

    moment: int
    point: float | None
    lower: float
    upper: float


def trend_chart(texts: Texts, title: str, points: Sequence[TrendPoint], start: float, end: float) -> Markup:
    """Return the trend from ``start`` to ``end`` in epoch seconds. Points are in order of time."""
    low, high = _axis(points)
    inner = _HEIGHT - _TOP - _BOTTOM

    def x(moment: float) -> float:
        return 1000 * (moment - start) / (end - start)

    def y(share: float) -> float:
        return 100 * (high - share) / (high - low)

    parts: list[Markup] = []
    shares: list[Markup] = []
    for tick in _ticks(low, high):
        height = _TOP + inner * (high - tick) / (high - low)
        parts.append(element("line", x1="0", x2="100%", y1=height, y2=height, class_="grid"))
        shares.append(element("text", texts.plain_percent(tick, 0), x="0", y=height - 4, class_="tick"))
    drawn: list[Markup] = []
    for run in _runs(points):
        upper = [(x(one.moment), y(one.upper)) for one in run]
        lower = [(x(one.moment), y(one.lower)) for one in reversed(run)]
        drawn.append(element("path", d=f"{_line(upper)}{_line(lower).replace('M', 'L')}Z", class_="band"))
        for part in _known(run):
            line = [(x(one.moment), y(one.point)) for one in part if one.point is not None]
            drawn.append(element("path", d=_line(line), class_="line"))
            if len(line) == 1:
                ((across, down),) = line
                parts.append(
                    element("circle", cx=f"{across / 10:.2f}%", cy=_TOP + inner * down / 100, r=5, class_="dot")
                )
    parts.append(
        element(
            "svg",
            *drawn,
            x="0",
            y=_TOP,
            width="100%",
            height=inner,
            viewBox="0 0 1000 100",
            preserveAspectRatio="none",
            class_="plot",
        )
    )
    parts += shares  # drawn over the line, which may begin at the same place
    parts += time_axis(texts, start, end, _HEIGHT - 10)
    return picture(_HEIGHT, title, *parts, class_="chart trend")


def _axis(points: Sequence[TrendPoint]) -> tuple[float, float]:
    low = math.floor(10 * min((one.lower for one in points), default=0.0)) / 10
    high = math.ceil(10 * max((one.upper for one in points), default=1.0)) / 10
    if high - low < _LEAST_SPAN:
        high = min(1.0, low + _LEAST_SPAN)
        low = max(0.0, high - _LEAST_SPAN)
    return low, high


def _ticks(low: float, high: float) -> list[float]:
    step = 0.05 if high - low <= 0.25 else 0.1 if high - low <= 0.5 else 0.25
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _runs(points: Sequence[TrendPoint]) -> Iterator[list[TrendPoint]]:
    """Yield the runs of points without a gap, judged by the usual step: an hour or a day."""
    steps = sorted(after.moment - before.moment for before, after in pairwise(points))
    longest = _GAP_STEPS * steps[len(steps) // 2] if steps else 0
    run: list[TrendPoint] = []
    for one in points:
        if run and one.moment - run[-1].moment > longest:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _known(run: Sequence[TrendPoint]) -> Iterator[list[TrendPoint]]:
    """Yield the parts of a run whose points are known."""
    for known, part in groupby(run, lambda one: one.point is not None):
        if known:
            yield list(part)


def _line(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.2f}" for x, y in places)
