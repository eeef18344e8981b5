"""Exposes volumes and findings of exchanges on /metrics, with the names of services/core/metrics/table.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Gauge

from services.core.codec import ExchangeVolume
from services.core.metrics import GaugeFamily, Labels
from services.core.model import LINK_FINDINGS, Finding, FindingKind, Review, link_findings
from services.scorer.exchanges import ReconciliationReport

PAIR_SERIES = 500
"""The maximum number of pairs of agencies that have series: the pairs with the largest volume."""


class ExchangeMetrics:
    """Metrics of volumes per pair, and of findings about links and exchanges.

    ``left_out`` is the gauge of series left out.
    """

    def __init__(self, registry: CollectorRegistry, left_out: Gauge) -> None:
        self._left_out = left_out
        self._findings = GaugeFamily("peyvand_link_findings", registry)
        self._undeclared = GaugeFamily("peyvand_undeclared_exchanges", registry)
        self._buses = GaugeFamily("peyvand_bus_exchanges", registry)
        self._exchanges = GaugeFamily("peyvand_exchanges", registry)
        self._traffic_findings = GaugeFamily("peyvand_findings", registry)

    def volumes(self, volumes: Iterable[ExchangeVolume]) -> None:
        """Show the exchanges of each pair of agencies."""
        largest = sorted(volumes, key=lambda volume: volume.count, reverse=True)
        self._left_out.labels("pairs").set(max(0, len(largest) - PAIR_SERIES))
        values: dict[Labels, float] = {}
        for volume in largest[:PAIR_SERIES]:
            pair = (volume.consumer, volume.provider, "true" if volume.meta else "false")
            values[*pair, "ok"] = volume.ok
            values[*pair, "bus_failure"] = volume.bus_failures
            values[*pair, "provider_failure"] = volume.provider_failures
        self._exchanges.show(values)

    def reconciled(self, report: ReconciliationReport) -> None:
        """Show the findings about links and the exchanges per bus, for windows with exchanges only."""
        used = [traffic for traffic in report.traffic if traffic.exchanges]
        counts = Counter((finding, link.window_days) for link in report.links for finding in link_findings(link))
        self._findings.show(
            {
                (name, str(window.window_days)): counts[name, window.window_days]
                for window in used
                for name in LINK_FINDINGS
            }
        )
        self._undeclared.show({(str(window.window_days),): window.undeclared_exchanges for window in used})
        self._buses.show({(bus.bus, str(window.window_days)): bus.exchanges for window in used for bus in window.buses})

    def found(self, findings: Iterable[Finding]) -> None:
        """Show how many findings about exchanges are ongoing, by kind and review."""
        counts = Counter((one.kind, one.review) for one in findings if one.ended_at is None)
        pairs = product(FindingKind, Review)
        self._traffic_findings.show({(kind.value, review.value): counts[kind, review] for kind, review in pairs})
