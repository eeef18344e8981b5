"""What the collector exposes on /metrics, by the names of the metrics table (services/core/metrics.py)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.collector.cells import Totals
from services.collector.ledger import Taken
from services.core import metrics

__all__ = ["Meters"]


class Meters:
    """Every metric of the collector; counters are zero from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = metrics.counter("peyvand_exchange_records_total", registry)
        self._rejected = metrics.counter("peyvand_exchange_rejected_total", registry)
        self._duplicates = metrics.counter("peyvand_exchange_duplicates_total", registry)
        self._paired = metrics.counter("peyvand_exchange_paired_total", registry)
        self._orphans = metrics.gauge("peyvand_exchange_orphans", registry)
        self._unpublished = metrics.gauge("peyvand_exchange_unpublished", registry)
        self._position = metrics.gauge("peyvand_exchange_position_timestamp_seconds", registry)

    def took(self, taken: Taken) -> None:
        """Count what was taken in."""
        self._records.inc(taken.read)
        self._rejected.inc(taken.rejected)
        self._duplicates.inc(taken.duplicates)
        self._paired.inc(max(0, taken.paired))

    def reached(self, source: str, newest_ms: int) -> None:
        """Show how far a source was read: the time of its newest record."""
        self._position.labels(source).set(newest_ms / 1000)

    def show(self, totals: Totals) -> None:
        """Show what waits: for its other side, and for the bus."""
        self._orphans.set(totals.orphans)
        self._unpublished.set(totals.unpublished)
