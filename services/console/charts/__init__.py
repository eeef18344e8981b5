"""Draws charts: pure functions from values to SVG that scales with the page, prints, and reads from either side."""

from services.console.charts.bars import Bar, bar_chart
from services.console.charts.matrix import Matrix, MatrixCell, arrange_matrix, shade_of
from services.console.charts.scale import meter_chart, plain_meter, scale_chart
from services.console.charts.strip import VerdictRun, runs_of, strip_chart
from services.console.charts.trend import TrendPoint, trend_chart
from services.console.charts.waterfall import waterfall_chart

__all__ = [
    "Bar",
    "Matrix",
    "MatrixCell",
    "TrendPoint",
    "VerdictRun",
    "arrange_matrix",
    "bar_chart",
    "meter_chart",
    "plain_meter",
    "runs_of",
    "scale_chart",
    "shade_of",
    "strip_chart",
    "trend_chart",
    "waterfall_chart",
]
