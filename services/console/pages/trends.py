"""An index over time, as it was published: thinned to what a chart and its table can show."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.console.charts import TrendPoint
from services.console.pages.page import Visit
from services.console.queries import figures_of
from services.core.model import Indicator, IndicatorKind

SPANS = ("7", "28", "90")
"""The days that a trend can go back, as addresses name them."""

_DAY = 86400
_MOST_POINTS = 180
"""Of a chart and its table: every hour of a week, every four of four weeks, twice a day of three months."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What was published of an index over the last ``days`` before ``end``, in epoch seconds."""

    days: int
    end: int
    points: tuple[TrendPoint, ...]

    @property
    def start(self) -> int:
        """Where a chart begins: a young history fills it from its first record on."""
        start = self.end - self.days * _DAY
        return max(start, self.points[0].moment) if len(self.points) > 1 else start

    def up_to(self, figure: Indicator) -> Trend:
        """Return the trend with the index as it is now: records are of whole hours."""
        if self.points and self.points[-1].moment >= figure.as_of:
            return self
        points = (*self.points, TrendPoint(figure.as_of, figure.point, figure.lower, figure.upper))
        return replace(self, end=max(self.end, figure.as_of), points=points)  # it may be newer than the edition


async def trend_of(visit: Visit, kind: IndicatorKind, entity: str) -> Trend:
    """Return what was published of an entity over the days of the address, up to the edition."""
    days = int(visit.chosen("span", *SPANS))
    end = visit.edition.as_of
    start = end - days * _DAY
    history = await figures_of(visit.api.history(kind, entity, visit.window, since=start))
    step = -(-days * _DAY // _MOST_POINTS)
    # The last one of each step, so that the newest is always among them.
    thinned = {(end - one.as_of) // step: one for one in history if one.as_of <= end}
    points = tuple(TrendPoint(one.as_of, one.point, one.lower, one.upper) for one in thinned.values())
    return Trend(days, end, points)
