"""Metrics created as the table describes them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from services.core.metrics.table import TABLE, Metric

# They would double the series of every counter, under names that are not in the table.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped


def _row(name: str, kind: str) -> Metric:
    row = TABLE[name]
    if row.type != kind:
        raise TypeError(f"{name} is a {row.type}, not a {kind}")
    return row


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """Create the counter of this name."""
    row = _row(name, "counter")
    return Counter(row.name, row.help, row.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """Create the gauge of this name."""
    row = _row(name, "gauge")
    return Gauge(row.name, row.help, row.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """Create the histogram of this name."""
    row = _row(name, "histogram")
    return Histogram(row.name, row.help, row.labels, registry=registry, buckets=row.buckets)


def make(name: str, registry: CollectorRegistry) -> MetricWrapperBase:
    """Create the metric of this name, of whatever type."""
    makers = {"counter": counter, "gauge": gauge, "histogram": histogram}
    return makers[TABLE[name].type](name, registry)
