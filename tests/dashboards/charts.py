"""Panels as pictures, each kind as near to Grafana's as a glance needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from tests.dashboards.answers import Named, joined
from tests.dashboards.grafana import View
from tests.dashboards.svg import QUIET, RULE, Pen, Place, fitted, width
from tests.dashboards.tables import table
from tests.dashboards.units import Field

__all__ = ["drawn"]


def drawn(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], view: View, place: Place) -> None:
    """Draw what a panel shows into its place."""
    if not answers:
        x, y, w, h = place
        word = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        pen.text(x + w / 2, y + h / 2, word, 13, fill=QUIET, anchor="middle")
        return
    _KINDS[panel["type"]](pen, panel, answers, view, place)


def _fields(panel: Mapping[str, Any], answers: Sequence[Named]) -> list[tuple[Named, Field]]:
    return [(one, Field(panel["fieldConfig"], one.name, number)) for number, one in enumerate(answers)]


def _numbers(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], view: View, place: Place) -> None:
    x, y, w, h = place
    named = panel["options"]["textMode"] == "value_and_name"
    fields = _fields(panel, answers)
    across = w / h > 1.6 or len(fields) == 1
    part_w, part_h = (w / len(fields), h) if across else (w, h / len(fields))
    size = min(part_h * (0.38 if named else 0.45), 44.0)
    longest = max(width(field.text(one.newest), 1) for one, field in fields)
    size = min(size, part_w * 0.9 / longest)
    for at, (one, field) in enumerate(fields):
        left, top = (x + at * part_w, y) if across else (x, y + at * part_h)
        if panel["options"]["graphMode"] == "area":
            _spark(pen, one, field, view, (left, top + part_h * 0.62, part_w, part_h * 0.38))
        middle, colour = left + part_w / 2, field.colour(one.newest)
        if named:
            pen.text(middle, top + part_h * 0.3, fitted(field.name, 12, part_w), 12, fill=QUIET, anchor="middle")
        pen.text(
            middle, top + part_h * (0.75 if named else 0.62), field.text(one.newest), size, fill=colour, anchor="middle"
        )


def _spark(pen: Pen, one: Named, field: Field, view: View, place: Place) -> None:
    x, y, w, h = place
    values = one.series.values
    low, high = min(values.values()), max(values.values())
    span = (high - low) or 1.0
    points = [
        (x + (at - view.start) / (view.end - view.start) * w, y + h - 4 - (value - low) / span * (h - 8))
        for at, value in values.items()
    ]
    colour = field.colour(one.newest)
    pen.area([(points[0][0], y + h), *points, (points[-1][0], y + h)], colour, 0.15)
    pen.line(points, colour, thick=1)


def _bars(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], _: View, place: Place) -> None:
    x, y, w, h = place
    fields = _fields(panel, answers)
    height = min(h / len(fields), 44)
    names = min(w * 0.45, max(width(field.name, 12) for _, field in fields) + 10)
    highest = max(fields[0][1].highest or 0, *(one.newest for one, _ in fields), 1e-9)
    values = max(width(field.text(one.newest), 13) for one, field in fields) + 12
    room = w - names - values
    for at, (one, field) in enumerate(fields):
        top = y + at * height
        value, colour = one.newest, field.colour(one.newest)
        pen.text(x, top + height / 2 + 4, fitted(field.name, 12, names - 6), 12)
        pen.box(x + names, top + 3, room, height - 6, "#f1f3f5")
        pen.box(x + names, top + 3, room * max(value, 0) / highest, height - 6, colour)
        pen.text(x + w, top + height / 2 + 4, field.text(value), 13, fill=colour, anchor="end", bold=True)


def _runs(one: Named, view: View) -> Iterator[list[tuple[float, float]]]:
    """Its points, parted where an answer is missing."""
    run: list[tuple[float, float]] = []
    for at, value in sorted(one.series.values.items()):
        if run and at - run[-1][0] > 1.5 * view.interval:
            yield run
            run = []
        run.append((at, value))
    yield run


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    rough = (high - low) / most or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _lines(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], view: View, place: Place) -> None:
    fields = _fields(panel, answers)
    place = _legend(pen, [(field.name, field.line) for _, field in fields], place)
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    stepped = custom.get("lineInterpolation") == "stepAfter"
    bases: dict[float, float] = {}
    layers = []
    for one, field in fields:
        below = {at: bases.get(at, 0.0) if stacked else 0.0 for at in one.series.values}
        bases.update({at: below[at] + value for at, value in one.series.values.items()})
        layers.append((one, field, below))
    tops = [value + below[at] for one, _, below in layers for at, value in one.series.values.items()]
    low, high = _bounds(defaults, tops)
    across, up = _axes(pen, fields[0][1], view, (low, high), place)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        for value, colour in fields[0][1].thresholds:
            if low <= value <= high:
                pen.line([(across(view.start), up(value)), (across(view.end), up(value))], colour, thick=1, dashed=True)
    for one, field, below in layers:
        for run in _runs(one, view):
            points = [(across(at), up(value + below[at])) for at, value in run]
            floor = [(across(at), up(below[at])) for at, _ in run]
            if stepped:
                points, floor = _stairs(points), _stairs(floor)
            if stacked:
                pen.area([*points, *reversed(floor)], field.line, 0.6)
            pen.line(points if len(points) > 1 else [*points, (points[0][0] + 2, points[0][1])], field.line)


def _bounds(defaults: Mapping[str, Any], values: Sequence[float]) -> tuple[float, float]:
    """Between which values an axis goes: those the panel names, else those of the series with some room."""
    lowest, highest = defaults.get("min"), defaults.get("max")
    low = min(values) if lowest is None else lowest
    high = max(values) if highest is None else highest
    if high <= low:
        return (low, low + 1) if lowest is not None else (low - abs(low) * 0.1 - 0.1, low + abs(low) * 0.1 + 0.1)
    return low, high if highest is not None else high + (high - low) * 0.08


def _stairs(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found = points[:1]
    for (_, before), (x, y) in pairwise(points):
        found += [(x, before), (x, y)]
    return found


def _axes(
    pen: Pen, field: Field, view: View, bounds: tuple[float, float], place: Place
) -> tuple[Callable[[float], float], Callable[[float], float]]:
    x, y, w, h = place
    low, high = bounds
    words = [(value, field.text(value)) for value in _ticks(low, high, max(2, int(h / 34)))]
    left = max(width(word, 10) for _, word in words) + 8
    bottom = 16

    def across(at: float) -> float:
        return x + left + (at - view.start) / (view.end - view.start) * (w - left)

    def up(value: float) -> float:
        return y + 5 + (high - min(max(value, low), high)) / (high - low) * (h - bottom - 5)

    for value, word in words:
        pen.line([(x + left, up(value)), (x + w, up(value))], RULE, thick=1)
        pen.text(x + left - 6, up(value) + 3.5, word, 10, fill=QUIET, anchor="end")
    _times(pen, view, across, y + h - 2, w - left)
    return across, up


def _times(pen: Pen, view: View, across: Callable[[float], float], y: float, room: float) -> None:
    span = view.end - view.start
    steps = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
    step = next((each for each in steps if span / each <= max(2, room / 80)), steps[-1])
    shape = "%H:%M:%S" if step < 60 else "%H:%M"
    at = math.ceil(view.start / step) * step
    while at <= view.end:
        if view.start + span * 0.03 < at < view.end - span * 0.03:
            pen.text(across(at), y, time.strftime(shape, time.gmtime(at)), 10, fill=QUIET, anchor="middle")
        at += step


def _legend(pen: Pen, entries: Sequence[tuple[str, str]], place: Place) -> Place:
    """Draw a legend at the bottom, over as many lines as it needs up to three; what is left of the place."""
    x, y, w, h = place
    lines: list[list[tuple[str, str, float]]] = [[]]
    at = 0.0
    for name, colour in dict(entries).items():
        word = fitted(name, 11, w - 24)
        need = width(word, 11) + 32
        if at + need > w and lines[-1]:
            lines.append([])
            at = 0.0
        lines[-1].append((word, colour, at))
        at += need
    lines = lines[:3]
    for number, line in enumerate(lines):
        base = y + h - 15 * (len(lines) - number) + 11
        for word, colour, left in line:
            pen.box(x + left, base - 5, 12, 4, colour)
            pen.text(x + left + 17, base, word, 11)
    return x, y, w, h - 15 * len(lines) - 4


def _states(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], view: View, place: Place) -> None:
    fields = _fields(panel, answers)
    seen = sorted({value for one, _ in fields for value in one.series.values.values()})
    x, y, w, h = _legend(pen, [(fields[0][1].text(value), fields[0][1].colour(value)) for value in seen], place)
    left = min(w * 0.35, max(width(field.name, 11) for _, field in fields) + 8)

    def across(at: float) -> float:
        return x + left + (at - view.start) / (view.end - view.start) * (w - left)

    height = min((h - 16) / len(fields), 40)
    for number, (one, field) in enumerate(fields):
        top = y + number * height
        pen.text(x + left - 6, top + height / 2 + 4, fitted(field.name, 11, left - 6), 11, anchor="end")
        for run in _runs(one, view):
            ends = {at: after for (at, _), (after, _) in pairwise(run)}
            for value, group in groupby(run, key=lambda point: point[1]):
                points = list(group)
                begin = across(points[0][0])
                end = across(min(ends.get(points[-1][0], points[-1][0] + view.interval), view.end))
                pen.box(begin, top + 2, end - begin, height - 4, field.colour(value))
                if word := fitted(field.text(value), 11, end - begin - 6):
                    pen.text((begin + end) / 2, top + height / 2 + 4, word, 11, fill="#fff", anchor="middle")
    _times(pen, view, across, y + h - 2, w - left)


def _columns(pen: Pen, panel: Mapping[str, Any], answers: Sequence[Named], view: View, place: Place) -> None:
    rows = joined(panel, list(answers))
    along = panel["options"]["xField"]
    names = [f"Value #{target['refId']}" for target in panel["targets"]]
    fields = {name: Field(panel["fieldConfig"], name, number) for number, name in enumerate(names)}
    x, y, w, h = place
    highest = next(iter(fields.values())).highest or max(sum(row.get(name, 0) for name in names) for row in rows)
    words = [(value, next(iter(fields.values())).text(value)) for value in _ticks(0, highest, int(h / 40))]
    left = max(width(word, 10) for _, word in words) + 8
    high = h - 22

    def up(value: float) -> float:
        return y + 5 + (highest - value) / highest * (high - 5)

    for value, word in words:
        pen.line([(x + left, up(value)), (x + w, up(value))], RULE, thick=1)
        pen.text(x + left - 6, up(value) + 3.5, word, 10, fill=QUIET, anchor="end")
    part = (w - left) / len(rows)
    for number, row in enumerate(rows):
        begin, base = x + left + number * part, 0.0
        for name in names:
            value = row.get(name, 0.0)
            if fields[name].line != "none":
                pen.box(
                    begin + part * 0.1, up(base + value), part * 0.8, up(base) - up(base + value), fields[name].line
                )
            base += value
        pen.text(begin + part / 2, y + h - 6, fitted(str(row[along]), 9, part), 9, anchor="middle")


_KINDS: Mapping[str, Callable[[Pen, Mapping[str, Any], Sequence[Named], View, Place], None]] = {
    "stat": _numbers,
    "bargauge": _bars,
    "timeseries": _lines,
    "state-timeline": _states,
    "table": table,
    "barchart": _columns,
}
