"""The api's server and exchange records, for tests of commands that read them."""

from __future__ import annotations

from tests.support.cases.api.server import api, empty_api, refusal, register
from tests.support.cases.ledger import both, raw

__all__ = ["api", "both", "empty_api", "raw", "refusal", "register"]
