"""Exports the archive's metrics under the names of the metrics table (services/core/metrics/table.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from services.core import metrics
from services.dataset.days import BatchRun
from services.dataset.tables import STREAM_KINDS


class ArchiveMetrics:
    """The metrics of the archive. Counters are exported as zero from startup."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = metrics.counter("peyvand_archive_rows_total", registry)
        self._rejected = metrics.counter("peyvand_archive_rejected_total", registry)
        self._archived = metrics.gauge("peyvand_archive_position_timestamp_seconds", registry)
        self._sealed = metrics.counter("peyvand_archive_sealed_total", registry)
        self._due = metrics.gauge("peyvand_archive_unsealed", registry)
        self._faults = metrics.gauge("peyvand_archive_batch_faults", registry)
        self._missing = metrics.gauge("peyvand_archive_missing_messages", registry)
        for kind in STREAM_KINDS:
            self._missing.labels(kind.name)
            self._rows.labels(kind.name)
            self._rejected.labels(kind.name)
        self._due.set(0)

    def wrote(self, kind: str, rows: int, stored: float) -> None:
        """Count rows written to disk, and set the moment up to which the stream had stored them (epoch seconds)."""
        self._rows.labels(kind).inc(rows)
        self._archived.labels(kind).set(stored)

    def caught_up(self, kind: str, moment: float) -> None:
        """Set the moment up to which all messages of a stream are on disk (epoch seconds)."""
        self._archived.labels(kind).set(moment)

    def rejected(self, kind: str) -> None:
        """Count a message that could not be read."""
        self._rejected.labels(kind).inc()

    def missing(self, kind: str, messages: int) -> None:
        """Set the number of messages of unsealed days that were lost before they were read."""
        self._missing.labels(kind).set(messages)

    def sealed(self) -> None:
        """Count a sealed day."""
        self._sealed.inc()

    def accounted(self, runs: Iterable[BatchRun]) -> None:
        """Set the faults in the batches of the day that was sealed last, counted by vantage and fault."""
        totals: Counter[tuple[str, str]] = Counter()
        for run in runs:
            totals.update({(run.vantage, fault): count for fault, count in run.faults().items()})
        self._faults.clear()
        for labels, count in totals.items():
            self._faults.labels(*labels).set(count)

    def due(self, days: int) -> None:
        """Set the number of days that accept no more rows and are not sealed."""
        self._due.set(days)
