"""Draws the scale of one index: its point, its bounds (certain) and its interval (likely in the long run)."""

from __future__ import annotations

from markupsafe import Markup

from services.console.charts.svg import Across, element, picture
from services.console.texts import Texts
from services.core.model import Indicator

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_BAND, _MIDDLE, _HEIGHT = 14.0, 34.0, 74.0


def scale_chart(texts: Texts, figure: Indicator) -> Markup:
    """Return the scale from 0 to 100."""
    across = Across(mirrored=texts.language.mirrored)
    parts = [
        element("rect", **across.span(0, 1), y=_MIDDLE - _BAND / 2, height=_BAND, rx=2, class_="track"),
        element(
            "rect",
            **across.span(figure.lower, figure.upper),
            y=_MIDDLE - _BAND / 2,
            height=_BAND,
            class_="bounds" if figure.point is not None else "bounds unknown",
        ),
    ]
    parts += [
        element("line", x1=x, x2=x, y1=_MIDDLE - 11, y2=_MIDDLE + 11, class_="bound")
        for x in map(across.at, (figure.lower, figure.upper))
    ]
    if figure.interval is not None:
        low, high = figure.interval.low, figure.interval.high
        y = _MIDDLE + 17
        parts.append(element("line", x1=across.at(low), x2=across.at(high), y1=y, y2=y, class_="interval"))
        parts.extend(
            element("line", x1=across.at(end), x2=across.at(end), y1=y - 4, y2=y + 4, class_="interval")
            for end in (low, high)
        )
    if figure.point is not None:
        parts.append(element("circle", cx=across.at(figure.point), cy=_MIDDLE, r=9, class_="point"))
        parts.append(across.text(texts.plain_of_hundred(figure.point), figure.point, 14, "value"))
    parts.extend(across.text(texts.plain_number(100 * tick), tick, _HEIGHT - 4, "tick") for tick in _TICKS)
    return picture(_HEIGHT, _said(texts, figure), *parts)


def meter_chart(texts: Texts, point: float | None, lower: float, upper: float) -> Markup:
    """Return a scale for a row of a table; the numbers stand beside it."""
    across = Across(mirrored=texts.language.mirrored)
    parts = [
        element("rect", **across.span(0, 1), y=5, height=8, rx=2, class_="track"),
        element("rect", **across.span(lower, upper), y=5, height=8, class_="bounds"),
    ]
    parts += [element("line", x1=x, x2=x, y1=3, y2=15, class_="bound") for x in map(across.at, (lower, upper))]
    if point is not None:
        parts.append(element("circle", cx=across.at(point), cy=9, r=5, class_="point"))
    return element("svg", *parts, class_="chart", width="100%", height=18, aria_hidden="true", direction="ltr")


def plain_meter(texts: Texts, share: float, most: float) -> Markup:
    """Return a bar for a row of a table; ``most`` is the share that fills the width."""
    across = Across(mirrored=texts.language.mirrored)
    parts = [
        element("rect", **across.span(0, 1), y=5, height=8, rx=2, class_="track"),
        element("rect", **across.span(0, share / most if most else 0), y=5, height=8, class_="bar measured"),
    ]
    return element("svg", *parts, class_="chart", width="100%", height=18, aria_hidden="true", direction="ltr")


def _said(texts: Texts, figure: Indicator) -> str:
    lower, upper = texts.plain_percent(figure.lower), texts.plain_percent(figure.upper)
    if figure.point is None:
        return texts.message("A scale from 0 to 100: between {lower} and {upper}.", lower=lower, upper=upper)
    return texts.message(
        "A scale from 0 to 100: {point}, certainly between {lower} and {upper}.",
        point=texts.plain_percent(figure.point),
        lower=lower,
        upper=upper,
    )
