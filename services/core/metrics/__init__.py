"""The table of all metrics, and the factory that creates them."""

from services.core.metrics.factory import GaugeFamily, LateGauge, counter, gauge, histogram
from services.core.metrics.families import Labels, PageRegistry, StableCollector, StableFamily
from services.core.metrics.local import LocalCounter, LocalHistogram
from services.core.metrics.table import TABLE, Metric

__all__ = [
    "TABLE",
    "GaugeFamily",
    "Labels",
    "LateGauge",
    "LocalCounter",
    "LocalHistogram",
    "Metric",
    "PageRegistry",
    "StableCollector",
    "StableFamily",
    "counter",
    "gauge",
    "histogram",
]
