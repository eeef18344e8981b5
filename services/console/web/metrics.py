"""Counts answers and times pages, by the names of the metrics table (services/core/metrics/table.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry

from services.core import metrics


class ConsoleMetrics:
    """Counts answers, and times the making of pages; ``base`` is the public address."""

    def __init__(self, registry: CollectorRegistry, base: str) -> None:
        self._answers = metrics.counter("peyvand_console_answers_total", registry)
        self._seconds = metrics.histogram("peyvand_console_page_seconds", registry)
        self._aged = metrics.counter("peyvand_console_aged_total", registry)
        metrics.gauge("peyvand_console_info", registry).labels(url=base).set(1)

    def served(self, page: str, status: int) -> None:
        """Count one answer."""
        self._answers.labels(page=page, code=str(status)).inc()

    def aged(self) -> None:
        """Count one page that was shown although the api is gone or slow."""
        self._aged.inc()

    @contextmanager
    def making(self, page: str) -> Iterator[None]:
        """Time the making of one page, the wait for the api included."""
        started = perf_counter()
        try:
            yield
        finally:
            self._seconds.labels(page=page).observe(perf_counter() - started)
