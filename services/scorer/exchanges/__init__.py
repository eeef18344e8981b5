"""What data buses carried: volumes in SQLite, replaced by revision, and reconcile_links with probes."""

from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.exchanges.reconciler import Reconciler, ReconciliationReport

__all__ = ["ExchangeDatabase", "Reconciler", "ReconciliationReport"]
