"""Exchange records, and an empty ledger."""

from __future__ import annotations

from tests.support.cases.ledger import both, ledger, raw

__all__ = ["both", "ledger", "raw"]
