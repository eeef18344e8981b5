"""The table of all metrics, and the factory that makes them."""

from services.core.metrics.families import (
    Family,
    Labels,
    Late,
)
from services.core.metrics.table import (
    TABLE,
    Metric,
    counter,
    gauge,
    histogram,
)

__all__ = ["TABLE", "Family", "Labels", "Late", "Metric", "counter", "gauge", "histogram"]
