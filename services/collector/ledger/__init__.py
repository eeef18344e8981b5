"""The SQLite state: sides of exchanges, how they pair, and the summaries they add up to."""

from services.collector.ledger.ledger import (
    Ledger,
    Pending,
    Taken,
)
from services.collector.ledger.summary_rows import Totals
from services.collector.ledger.thread import Desk

__all__ = ["Desk", "Ledger", "Pending", "Taken", "Totals"]
