"""Reads the published history of an index, thinned to what a chart and its table can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from services.console.charts import TrendPoint
from services.console.pages.page import Visit
from services.console.queries import collected
from services.core.model import Indicator, IndicatorKind

SPANS = ("7", "28", "90")
"""The days that a trend can go back, as addresses name them."""

_DAY = 86400
_MOST_POINTS = 180
"""The most points of a chart and its table: one an hour for a week, one in four hours for 28 days, two a day for 90."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The published values of an index over the ``days`` before ``end``, which is in epoch seconds."""

    days: int
    end: int
    points: tuple[TrendPoint, ...]
    spans: ClassVar = SPANS

    @property
    def start(self) -> int:
        """Where a chart begins; a history younger than ``days`` fills it from its first record on."""
        start = self.end - self.days * _DAY
        return max(start, self.points[0].moment) if len(self.points) > 1 else start

    def up_to(self, figure: Indicator) -> Trend:
        """Return the trend with the current index at its end, since records are of whole hours."""
        if self.points and self.points[-1].moment >= figure.as_of:
            return self
        points = (*self.points, TrendPoint(figure.as_of, figure.point, figure.lower, figure.upper))
        return replace(self, end=max(self.end, figure.as_of), points=points)  # it may be newer than the edition


def span_of(visit: Visit) -> tuple[int, int, int]:
    """Return the days of a trend by the address, its start in epoch seconds, and the seconds between points."""
    days = int(visit.chosen("span", *SPANS))
    return days, visit.edition.as_of - days * _DAY, -(-days * _DAY // _MOST_POINTS)


async def trend_of(visit: Visit, kind: IndicatorKind, entity: str) -> Trend:
    """Return the published trend of an entity over the days in the address, up to the edition."""
    _, start, step = span_of(visit)
    history = await collected(visit.api.history(kind, entity, visit.window, since=start, step_seconds=step))
    return trend_from(visit, history)


def trend_from(visit: Visit, history: Iterable[Any]) -> Trend:
    """Return the trend of messages Indicator, which are in order of time."""
    days, end = span_of(visit)[0], visit.edition.as_of
    points = (
        TrendPoint(one.as_of.seconds, one.point if one.HasField("point") else None, one.lower, one.upper)
        for one in history
    )
    return Trend(days, end, tuple(point for point in points if point.moment <= end))
