"""Counters and histograms for a hot path: a single thread counts, without the locks of prometheus-client."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from services.core.metrics.table import TABLE


class LocalCounter(Collector):
    """A counter of the metrics table with a series for each of ``members``, by name in lower case, from zero.

    It counts in a plain dict and makes samples when it is scraped, because the library's counters take a lock at every
    step, several times a probe. Everything here runs in one thread, and a scrape in between is off by one probe at
    most.
    """

    def __init__(self, name: str, members: Iterable[IntEnum]) -> None:
        self._metric = TABLE[name]
        self.counts: dict[IntEnum, int] = dict.fromkeys(members, 0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts."""
        family = CounterMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for member, count in self.counts.items():
            family.add_metric((member.name.lower(),), count)
        yield family

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Yield the same, so that the registry knows the name and /metrics can return it alone."""
        return self.collect()


class LocalHistogram(Collector):
    """A histogram of the metrics table without labels, kept without locks as LocalCounter is."""

    def __init__(self, name: str) -> None:
        self._metric = TABLE[name]
        self._bounds = self._metric.buckets
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Add one value; a negative one counts as 0."""
        value = max(0.0, value)
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        bounds = map(floatToGoString, (*self._bounds, float("inf")))
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._metric.name, self._metric.help, buckets=buckets, sum_value=self._sum)

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Yield the same, as LocalCounter does."""
        return self.collect()
