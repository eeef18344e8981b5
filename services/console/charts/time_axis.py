"""Names the start, the middle and the end of a time axis, which runs from left to right in every language."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from services.console.charts.svg import written
from services.console.texts import Texts

_DAYS = 3 * 86400
"""A shorter axis of several days has the time of day at its ends. Its middle is then empty, as such labels are long."""


def time_axis(texts: Texts, start: float, end: float, y: float) -> Iterator[Markup]:
    """Yield the labels of an axis from ``start`` to ``end`` in epoch seconds, at a height in pixels."""
    # A phone has no room for three dates.
    middle = "tick roomy" if end - start >= _DAYS else "tick"
    mirrored = texts.language.mirrored
    left, right = ("end", "start") if mirrored else ("start", "end")
    places = ("0", left, "tick"), ("50%", "middle", middle), ("100%", right, "tick")
    for name, (place, anchor, class_) in zip(_names(texts, start, end), places, strict=True):
        if name:
            yield written(name, place, y, anchor, class_, mirrored=mirrored)


def _names(texts: Texts, start: float, end: float) -> tuple[str, str, str]:
    first, last = texts.plain_day(start), texts.plain_day(end)
    if first == last:
        return texts.plain_clock(start), first, texts.plain_clock(end)
    if end - start < _DAYS:
        return texts.plain_moment(start), "", texts.plain_moment(end)
    return first, texts.plain_day((start + end) / 2), last
