"""Exposes the collector's /metrics, with the names of the metrics table (services/core/metrics/table.py)."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from services.collector.ledger import BatchResult, LedgerTotals
from services.collector.records import ServerHealth
from services.core import metrics

FAILURES: Final = ("fault", "status", "timeout", "tls", "transport", "too_large", "unreadable")
"""How a source can fail."""

SERVICES: Final = 1000
"""The maximum number of services of one security server that have series."""


class CollectorMetrics:
    """Every metric of the collector; counters are zero from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = metrics.counter("peyvand_exchange_records_total", registry)
        self._rejected = metrics.counter("peyvand_exchange_rejected_total", registry)
        self._duplicates = metrics.counter("peyvand_exchange_duplicates_total", registry)
        self._expired = metrics.counter("peyvand_exchange_expired_total", registry)
        self._paired = metrics.counter("peyvand_exchange_paired_total", registry)
        self._orphans = metrics.gauge("peyvand_exchange_orphans", registry)
        self._unpublished = metrics.gauge("peyvand_exchange_unpublished", registry)
        self._published = metrics.gauge("peyvand_exchange_published_timestamp_seconds", registry)
        self._position = metrics.gauge("peyvand_exchange_position_timestamp_seconds", registry)
        self._newest = metrics.gauge("peyvand_exchange_newest_timestamp_seconds", registry)
        self._newest_ms: dict[str, int] = {}
        self._up = metrics.gauge("peyvand_exchange_source_up", registry)
        self._failures = metrics.counter("peyvand_exchange_source_failures_total", registry)
        self._skipped = metrics.counter("peyvand_exchange_skipped_seconds_total", registry)
        self._health = metrics.gauge("peyvand_exchange_health_requests", registry)
        self._mean = metrics.gauge("peyvand_exchange_health_duration_seconds", registry)
        self._services: dict[str, set[str]] = {}

    def took(self, result: BatchResult) -> None:
        """Count a batch."""
        self._records.inc(result.read)
        self._rejected.inc(result.rejected)
        self._duplicates.inc(result.duplicates)
        self._expired.inc(result.expired)
        self._paired.inc(max(0, result.paired))

    def reached(self, source: str, moment_ms: int) -> None:
        """Set up to when a source was read, whether or not it had anything."""
        self._position.labels(source).set(moment_ms / 1000)

    def newest(self, source: str, moment_ms: int) -> None:
        """Set when the newest exchange of a source was, unless a newer one is known."""
        self._newest_ms[source] = max(moment_ms, self._newest_ms.get(source, 0))
        self._newest.labels(source).set(self._newest_ms[source] / 1000)

    def show_totals(self, totals: LedgerTotals, now_ms: int) -> None:
        """Set how many exchanges wait for their other side, how many summaries for the bus, and since when."""
        self._orphans.set(totals.orphans)
        self._unpublished.set(totals.unpublished)
        oldest = totals.oldest_unpublished_ms
        self._published.set((now_ms if oldest is None else min(oldest, now_ms)) / 1000)

    def add_source(self, source: str) -> None:
        """Show the failures and skipped seconds of a source as zero."""
        self._skipped.labels(source)
        for failure in FAILURES:
            self._failures.labels(source, failure)

    def source_up(self, source: str) -> None:
        """Record that a source gave what was requested."""
        self._up.labels(source).set(1)

    def source_failed(self, source: str, failure: str) -> None:
        """Count a failure, one of FAILURES, of a source."""
        self._up.labels(source).set(0)
        self._failures.labels(source, failure).inc()

    def second_skipped(self, source: str) -> None:
        """Count a second of a source that cannot be read."""
        self._skipped.labels(source).inc()

    def health(self, source: str, health: ServerHealth) -> None:
        """Show the health data of up to SERVICES services of a security server; remove the series of other services."""
        shown = sorted(health.services, key=lambda service: service.name)[:SERVICES]
        names = {service.name for service in shown}
        before = self._services.get(source, set())
        for name in before - names:
            self._health.remove(source, name, "succeeded")
            self._health.remove(source, name, "failed")
        for name in before - {service.name for service in shown if service.mean_ms is not None}:
            self._mean.remove(source, name)
        self._services[source] = names
        for service in shown:
            self._health.labels(source, service.name, "succeeded").set(service.succeeded)
            self._health.labels(source, service.name, "failed").set(service.failed)
            if service.mean_ms is not None:
                self._mean.labels(source, service.name).set(service.mean_ms / 1000)
