"""The span of a trend."""

from __future__ import annotations

from services.console.charts import TrendPoint
from services.console.pages.trends import Trend
from services.core.model import Indicator, IndicatorKind, Losses


def test_a_figure_newer_than_the_edition_ends_the_trend() -> None:
    """An index newer than the edition ends the trend, which then has a length even if it has a single record."""
    figure = Indicator(
        IndicatorKind.GOVERNMENT, "", 28, 7202, 0.5, 0.4, 0.6, 0.8, losses=Losses(0.1, 0.1, 0.1, 0.1, 0.1)
    )
    trend = Trend(28, 7200, (TrendPoint(7200, 0.5, 0.4, 0.6),)).up_to(figure)
    assert [point.moment for point in trend.points] == [7200, 7202]
    assert (trend.start, trend.end) == (7200, 7202)
