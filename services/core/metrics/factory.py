"""Creates metrics as the table describes them, and gauges whose series come and go."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily

from services.core.metrics.families import Labels, StableCollector, StableFamily
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


class GaugeFamily(StableCollector):
    """One labelled gauge whose series are replaced as a whole."""

    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        self._name = _row(name, "gauge").name
        self._family = StableFamily(name, {})
        registry.register(self)

    def show(self, values: Mapping[Labels, float]) -> None:
        """Show these series, and no others. They must not change afterwards."""
        self._family = StableFamily(self._name, values)

    def families(self) -> tuple[StableFamily]:
        """Return the series shown."""
        return (self._family,)

    def describe(self) -> tuple[GaugeMetricFamily]:
        """Return the gauge without series, so that no other gauge of its name is registered."""
        return (StableFamily(self._name, {}).metric(),)


class LateGauge:
    """A gauge without labels that is registered with its first value, and absent before."""

    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._registry = registry
        self._gauge: Gauge | None = None

    def set(self, value: float) -> None:
        """Set the value."""
        if self._gauge is None:
            self._gauge = gauge(self._name, self._registry)
        self._gauge.set(value)
