"""Counters and a histogram as plain numbers, put together when they are scraped.

The library's own take a lock at every step, several times a probe; everything here happens in one thread, and a scrape
that reads in between is off by a probe at most.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from services.core.metrics import TABLE

__all__ = ["Counts", "Spread"]

E = TypeVar("E", bound=IntEnum)


class Counts(Collector, Generic[E]):
    """A counter of the metrics table with a series for each of ``members``, by name in lower case, from zero."""

    def __init__(self, name: str, members: Iterable[E]) -> None:
        self._row = TABLE[name]
        self.of = dict.fromkeys(members, 0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts."""
        family = CounterMetricFamily(self._row.name, self._row.help, labels=self._row.labels)
        for member, count in self.of.items():
            family.add_metric((member.name.lower(),), count)
        yield family

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Yield the same, so that the registry knows the name and /metrics can be asked for it alone."""
        return self.collect()


class Spread(Collector):
    """A histogram of the metrics table without labels."""

    def __init__(self, name: str) -> None:
        self._row = TABLE[name]
        self._bounds = self._row.buckets
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Take in one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        bounds = map(floatToGoString, (*self._bounds, float("inf")))
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._row.name, self._row.help, buckets=buckets, sum_value=self._sum)
