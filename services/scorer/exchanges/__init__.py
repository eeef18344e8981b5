"""What data buses carried: volumes in SQLite, replaced by revision, and compared with probes."""

from services.scorer.exchanges.database import Exchanges
from services.scorer.exchanges.reconciler import (
    Reconciled,
    Reconciler,
)

__all__ = ["Exchanges", "Reconciled", "Reconciler"]
