"""Draw how cost grows from the kept points, on logarithmic axes, with the limit of the machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench.growth.figures import FIGURES, Figure, Points
from tests.bench.growth.points import Point, kept
from tests.dashboards.svg import QUIET, RULE, Pen

__all__ = ["chart", "draw"]

_WIDE: Final = 460
_HIGH: Final = 320
_LEFT: Final = 62
_RIGHT: Final = 16
_TOP: Final = 88
_BOTTOM: Final = 36
_COLOURS: Final = ("#1b6ca8", "#8e44ad")
_LIMIT: Final = "#27864a"
_AIM: Final = "#c0392b"


def draw(folder: Path) -> Iterator[str]:
    """Write the picture of each figure that has points, and yield its name."""
    points = kept(folder)
    values = {name: {size: one.value for size, one in found.items()} for name, found in points.items()}
    for figure in FIGURES:
        if any(name in points for name in figure.series):
            (folder / f"{figure.name}.svg").write_text(chart(figure, values, _told(figure, points)))
            yield f"{figure.name}.svg: {figure.title}"


def _told(figure: Figure, points: Mapping[str, Mapping[int, Point]]) -> str:
    """Return where and when the points of a figure were measured."""
    found = [one for name in figure.series for one in points.get(name, {}).values()]
    dates, machines = sorted({one.date for one in found}), sorted({one.machine for one in found})
    load = max((one.load for one in found), default=0.0)
    when = dates[0] if len(dates) < 2 else f"{dates[0]} to {dates[-1]}"
    return f"{when}, {' and '.join(machines)}, load average up to {load:g}"


def chart(figure: Figure, points: Points, measured: str) -> str:
    """Return the picture of one figure, on white to be readable on any page. ``measured`` says where and when."""
    sizes = figure.sizes
    series = [(label, _line(points.get(name, {}), sizes)) for name, label in figure.series.items()]
    limits = [(size, value) for size in sizes if (value := figure.limit_of(points, size))]
    aims = sorted((figure.aim or {}).items())
    all_values = [value for _, line in series for _, value in line] + [value for _, value in (*limits, *aims)]
    low, high = math.floor(math.log10(min(all_values))), math.ceil(math.log10(max(all_values)))
    high = max(high, low + 1)

    def place(size: int, value: float) -> tuple[float, float]:
        right = math.log10(size / sizes[0]) / math.log10(sizes[-1] / sizes[0])
        up = (math.log10(value) - low) / (high - low)
        return _LEFT + right * (_WIDE - _LEFT - _RIGHT), _HIGH - _BOTTOM - up * (_HIGH - _TOP - _BOTTOM)

    pen = Pen()
    pen.box(0, 0, _WIDE, _HIGH, "#fff", stroke=RULE, round_=6)
    pen.text(14, 22, figure.title, 13, bold=True)
    for exponent in range(low, high + 1):
        _, y = place(sizes[0], 10.0**exponent)
        pen.line([(_LEFT, y), (_WIDE - _RIGHT, y)], RULE, thick=1)
        pen.text(_LEFT - 6, y + 4, _amount(10.0**exponent, figure.unit), 10, fill=QUIET, anchor="end")
    for size in sizes:
        x, _ = place(size, 10.0**low)
        pen.text(x, _HIGH - _BOTTOM + 16, f"{size:,}", 10, fill=QUIET, anchor="end" if size == sizes[-1] else "middle")
    pen.text(_LEFT + (_WIDE - _LEFT - _RIGHT) / 2, _HIGH - 6, figure.counted, 10, fill=QUIET, anchor="middle")
    for number, (label, line) in enumerate(series):
        colour = _COLOURS[number]
        _drawn(pen, [place(*one) for one in line], colour)
        last = f": {_amount(line[-1][1], figure.unit)} at {line[-1][0]:,}" if line else ""
        pen.text(14 + 220 * number, 40, f"● {label}{last}", 10, fill=colour)
    if limits:
        pen.line([place(*one) for one in limits], _LIMIT, dashed=True)
        if len(limits) == 1:
            _drawn(pen, [place(*limits[0])], _LIMIT)
        pen.text(
            14,
            54,
            f"- - this machine at best: {figure.limit}, {_amount(limits[-1][1], figure.unit)} at {limits[-1][0]:,}",
            10,
            fill=_LIMIT,
        )
    for size, value in aims:
        x, y = place(size, value)
        pen.line([(x - 9, y), (x + 9, y)], _AIM, thick=2.5)
        pen.text(14, 68, f"▬ aim: {_amount(value, figure.unit)} at {size:,}", 10, fill=_AIM)
    return pen.picture(_WIDE, _HIGH, figure.title, _described(figure, series, limits, measured))


def _described(
    figure: Figure,
    series: Sequence[tuple[str, Sequence[tuple[int, float]]]],
    limits: Sequence[tuple[int, float]],
    measured: str,
) -> str:
    """Say what the picture shows."""
    lines = [*series, (f"this machine at best, {figure.limit}", limits)]
    told = [
        f"{label}: "
        + ", ".join(f"{_amount(value, figure.unit)} with {size:,} {figure.counted}" for size, value in line)
        for label, line in lines
        if line
    ]
    return f"{'. '.join(told)}. Measured {measured}."


def _line(found: Mapping[int, float], sizes: Sequence[int]) -> list[tuple[int, float]]:
    return [(size, value) for size, value in sorted(found.items()) if sizes[0] <= size <= sizes[-1] and value > 0]


def _drawn(pen: Pen, places: Sequence[tuple[float, float]], colour: str) -> None:
    if len(places) > 1:
        pen.line(places, colour, thick=2)
    for x, y in places:
        pen.box(x - 3, y - 3, 6, 6, colour, round_=3)


def _amount(value: float, unit: str) -> str:
    """Return a value with its unit, seconds in the unit that suits them."""
    if unit != "s":
        return f"{_digits(value)} {unit}".rstrip()
    for many, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= many * 0.9995:
            return f"{_digits(value / many)} {name}"
    return f"{_digits(value * 1e9)} ns"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.3g}"
