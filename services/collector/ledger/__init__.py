"""Keeps the collector's state: sides of exchanges, how they pair, and the summaries they add up to."""

from services.collector.ledger.batch_result import BatchResult
from services.collector.ledger.executor import LedgerExecutor
from services.collector.ledger.ledger import ClockBehindError, Ledger
from services.collector.ledger.summary import PendingSummary
from services.collector.ledger.summary_rows import LedgerTotals

__all__ = ["BatchResult", "ClockBehindError", "Ledger", "LedgerExecutor", "LedgerTotals", "PendingSummary"]
