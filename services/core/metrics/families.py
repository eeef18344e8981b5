"""Gauges whose series come and go."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from services.core.metrics.factory import gauge

Labels = tuple[str, ...]


class GaugeFamily:
    """One labelled gauge whose series are replaced as a whole."""

    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        self._gauge = gauge(name, registry)
        self._series: dict[Labels, Gauge] = {}

    def show(self, values: Mapping[Labels, float]) -> None:
        """Set these series, and remove all others."""
        for labels in self._series.keys() - values.keys():
            self._gauge.remove(*labels)
            del self._series[labels]
        for labels, value in values.items():
            series = self._series.get(labels)
            if series is None:
                series = self._series[labels] = self._gauge.labels(*labels)
            series.set(value)


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
