"""What the collector exposes on /metrics, by the names of the metrics table (services/core/metrics/table.py)."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from services.collector.ledger import BatchResult, LedgerTotals
from services.collector.records import ServerHealth
from services.core import metrics

__all__ = ["FAILURES", "SERVICES", "CollectorMetrics"]

FAILURES: Final = ("fault", "status", "timeout", "tls", "transport", "too_large", "unreadable")
"""How a source can fail."""

SERVICES: Final = 1000
"""So many services of a security server are shown at most."""


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
        self._position = metrics.gauge("peyvand_exchange_position_timestamp_seconds", registry)
        self._newest = metrics.gauge("peyvand_exchange_newest_timestamp_seconds", registry)
        self._newest_ms: dict[str, int] = {}
        self._up = metrics.gauge("peyvand_exchange_source_up", registry)
        self._failures = metrics.counter("peyvand_exchange_source_failures_total", registry)
        self._skipped = metrics.counter("peyvand_exchange_skipped_seconds_total", registry)
        self._health = metrics.gauge("peyvand_exchange_health_requests", registry)
        self._mean = metrics.gauge("peyvand_exchange_health_duration_seconds", registry)
        self._known: dict[str, set[str]] = {}

    def took(self, taken: BatchResult) -> None:
        """Count what was taken in."""
        self._records.inc(taken.read)
        self._rejected.inc(taken.rejected)
        self._duplicates.inc(taken.duplicates)
        self._expired.inc(taken.expired)
        self._paired.inc(max(0, taken.paired))

    def reached(self, source: str, moment_ms: int) -> None:
        """Show up to when a source was read, whether it had anything or not."""
        self._position.labels(source).set(moment_ms / 1000)

    def newest(self, source: str, moment_ms: int) -> None:
        """Show when the newest exchange of a source was, if none that was newer is known."""
        self._newest_ms[source] = max(moment_ms, self._newest_ms.get(source, 0))
        self._newest.labels(source).set(self._newest_ms[source] / 1000)

    def show(self, totals: LedgerTotals) -> None:
        """Show what waits: for its other side, and for the bus."""
        self._orphans.set(totals.orphans)
        self._unpublished.set(totals.unpublished)

    def source_named(self, source: str) -> None:
        """Show the failures of a source, and what was skipped of it, from the start, as none."""
        self._skipped.labels(source)
        for failure in FAILURES:
            self._failures.labels(source, failure)

    def source_up(self, source: str) -> None:
        """Show that a source gave what it was asked for."""
        self._up.labels(source).set(1)

    def source_failed(self, source: str, failure: str) -> None:
        """Show that a source did not, and how it failed."""
        self._up.labels(source).set(0)
        self._failures.labels(source, failure).inc()

    def second_skipped(self, source: str) -> None:
        """Count a second of a source of which nothing can be read."""
        self._skipped.labels(source).inc()

    def health(self, source: str, health: ServerHealth) -> None:
        """Show what a security server says of the services behind it, up to SERVICES of them, and no longer of others."""
        shown = sorted(health.services, key=lambda one: one.service)[:SERVICES]
        names = {one.service for one in shown}
        for gone in self._known.get(source, set()) - names:
            self._health.remove(source, gone, "succeeded")
            self._health.remove(source, gone, "failed")
        for unknown in self._known.get(source, set()) - {one.service for one in shown if one.mean_ms is not None}:
            self._mean.remove(source, unknown)
        self._known[source] = names
        for one in shown:
            self._health.labels(source, one.service, "succeeded").set(one.succeeded)
            self._health.labels(source, one.service, "failed").set(one.failed)
            if one.mean_ms is not None:
                self._mean.labels(source, one.service).set(one.mean_ms / 1000)
