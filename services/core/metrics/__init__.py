"""The table of all metrics, and the factory that makes them."""

from services.core.metrics.factory import counter, gauge, histogram
from services.core.metrics.families import Family, Labels, Late
from services.core.metrics.table import TABLE, Metric

__all__ = ["TABLE", "Family", "Labels", "Late", "Metric", "counter", "gauge", "histogram"]
