"""Keeps what data buses carried as volumes in SQLite, replaced by revision, and reconciles them with probes."""

from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.exchanges.findings import FindingWatch, with_findings
from services.scorer.exchanges.reconciler import Reconciler, ReconciliationReport

__all__ = ["ExchangeDatabase", "FindingWatch", "Reconciler", "ReconciliationReport", "with_findings"]
