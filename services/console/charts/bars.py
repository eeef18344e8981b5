"""Draws horizontal bars of shares, one above the other and never stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from services.console.charts.svg import Across, element, picture
from services.console.texts import Texts

_ROW, _BAR = 56.0, 18.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its share of 1, its colour class, and its bounds if it was measured.

    The share is None where it was not stated or, of what was measured, where too little is known.
    """

    label: str
    share: float | None
    kind: str = "plain"
    lower: float | None = None
    upper: float | None = None


def bar_chart(texts: Texts, title: str, bars: Sequence[Bar]) -> Markup:
    """Return the bars, starting on the side where reading begins."""
    across = Across(mirrored=texts.language.mirrored)
    parts: list[Markup] = []
    for row, bar in enumerate(bars):
        top = row * _ROW
        missing = texts.message("not stated") if bar.lower is None else texts.message("too little known")
        value = missing if bar.share is None else texts.plain_percent(bar.share)
        parts += [
            across.text(bar.label, 0, top + 15, "label"),
            across.text(value, 1, top + 15, "value"),
            element("rect", **across.span(0, 1), y=top + 25, height=_BAR, rx=2, class_="track"),
        ]
        if bar.share is not None:
            span = across.span(0, min(bar.share, 1))
            parts.append(element("rect", **span, y=top + 25, height=_BAR, class_=f"bar {bar.kind}"))
        if bar.lower is not None and bar.upper is not None:
            span = across.span(bar.lower, min(bar.upper, 1))
            parts.append(element("rect", **span, y=top + 25, height=_BAR, class_="between"))
    return picture(_ROW * len(bars), title, *parts)
