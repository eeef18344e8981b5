"""Gauges that a page writes once per change of their series, not at every scrape.

prometheus-client keeps an object of some 700 bytes for each series, and takes some 10 µs to write it. So it writes one
series of a family, and the others follow that pattern.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from services.core.metrics.table import TABLE

Labels = tuple[str, ...]

Encode = Callable[[Collector], bytes]
"""Writes the families of a collector in one format of Prometheus."""

_END = b"# EOF\n"  # of a page of OpenMetrics


class StableFamily:
    """The series of one gauge of the table, by the values of their labels. They must not change afterwards."""

    def __init__(self, name: str, values: Mapping[Labels, float]) -> None:
        self._name, self._values = name, values
        self._text: tuple[str, bytes] | None = None

    def metric(self) -> GaugeMetricFamily:
        """Return the series as a metric of prometheus-client."""
        family = GaugeMetricFamily(self._name, TABLE[self._name].help, labels=TABLE[self._name].labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family

    def text(self, content_type: str, encode: Encode) -> bytes:
        """Return the series as ``encode`` writes them. They are written once while the format stays the same."""
        kept = self._text
        if kept is None or kept[0] != content_type:
            kept = self._text = content_type, self._written(encode)
        return kept[1]

    def _written(self, encode: Encode) -> bytes:
        """Have one series written, and write the others like it, in a third of the time."""
        places = [f"\0{number}\0" for number in range(len(TABLE[self._name].labels))]
        pattern = StableFamily(self._name, {tuple(places): 0.0}).metric()
        written = encode(_Collected([pattern])).decode().removesuffix(_END.decode())
        head, _, line = written.removesuffix(" 0.0\n").rpartition("\n")
        line = line.replace("{", "{{").replace("}", "}}")
        for number, place in enumerate(places):
            line = line.replace(place, f"{{{number}}}")
        write = f"{line} {{{len(places)}}}\n".format
        lines = [
            write(*map(_escaped, labels), floatToGoString(value))  # type: ignore[no-untyped-call]
            for labels, value in self._values.items()
        ]
        return "".join((head, "\n", *lines)).encode()


class StableCollector(Collector, ABC):
    """A collector of families that are replaced when they change."""

    @abstractmethod
    def families(self) -> Iterable[StableFamily]:
        """Return the families as they are now."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families as metrics of prometheus-client."""
        return (family.metric() for family in self.families())


class PageRegistry(CollectorRegistry):
    """A registry that keeps the texts of stable families from one scrape to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._stable: list[StableCollector] = []
        self._others: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Add a collector. Raises ValueError when another collector has one of its metrics."""
        super().register(collector)
        if isinstance(collector, StableCollector):
            self._stable.append(collector)
        else:
            self._others.append(collector)

    def text(self, content_type: str, encode: Encode) -> bytes:
        """Return the page of all collectors as ``encode`` writes it."""
        others = encode(_Collected([*chain.from_iterable(one.collect() for one in tuple(self._others))]))
        stable = [family.text(content_type, encode) for one in tuple(self._stable) for family in one.families()]
        if not others.endswith(_END):
            return b"".join((others, *stable))
        return b"".join((others.removesuffix(_END), *stable, _END))


def _escaped(label: str) -> str:
    """Return the value of a label as both formats of Prometheus write it."""
    return label.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
