"""The table of all metrics, and the factory that creates them."""

from services.core.metrics.factory import GaugeFamily, Labels, LateGauge, counter, gauge, histogram
from services.core.metrics.table import TABLE, Metric

__all__ = ["TABLE", "GaugeFamily", "Labels", "LateGauge", "Metric", "counter", "gauge", "histogram"]
